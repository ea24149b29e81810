package outbox

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/outbox/publish"
	"github.com/sine-relay/sine-relay/broker/outbox/window"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// resendPause is between two attempts to send the window again, and between two
	// looks at the connection.
	resendPause = time.Second
	// inspectionPause is between two looks whether a stream was inspected.
	inspectionPause = 20 * time.Millisecond
)

// resender sends again what the stream of a root has acknowledged and NATS may have
// lost: a server syncs after it acknowledges, unless it is configured otherwise. When a
// server is connected to that is not known to have run since, or the stream has become
// shorter, it sends what is in the window, in its order and with the same ids. The
// stream recognises what it has. Meanwhile the spool waits, and new messages go there:
// what is sent again comes before them. Each root has its own: a stream that takes
// nothing holds up no other.
type resender struct {
	root      visit.Root
	conn      *conn.Conn
	streams   *streams.Reconciler
	keys      *keyedMutex
	publisher *publish.Publisher
	spooler   *spooler
	window    *window.Window
	log       *slog.Logger
	resent    prometheus.Counter
	trigger   chan struct{}
	// decided is the value of conn.NextConnect for which it is known that nothing is
	// to be sent again, or was.
	decided atomic.Value
	// doubted is when run last noticed that something was lost or the connection is
	// another one.
	doubted time.Time
}

func newResenders(cfg Config, keys *keyedMutex, p *publish.Publisher, s *spooler) map[visit.Root]*resender {
	all := make(map[visit.Root]*resender)
	if len(cfg.Windows) == 0 {
		return all
	}
	resent := newWindowMetrics(cfg)
	for root, w := range cfg.Windows {
		all[root] = &resender{
			root: root, conn: cfg.Conn, streams: cfg.Streams, keys: keys, publisher: p, spooler: s, window: w, log: cfg.Logger, resent: resent,
			trigger: make(chan struct{}, 1),
		}
	}
	return all
}

// comesFirst reports whether other messages must wait. They do not wait for a window that
// cannot be opened.
func (r *resender) comesFirst() bool {
	return r.window.IsOpen() && r.decided.Load() != r.conn.NextConnect()
}

// resend has the window sent again soon. From now on, it comes first.
func (r *resender) resend() {
	r.undecide()
	select {
	case r.trigger <- struct{}{}:
	default:
	}
}

// run follows the servers that are connected to, until ctx ends.
func (r *resender) run(ctx context.Context) {
	tick := time.NewTicker(resendPause)
	defer tick.Stop()
	var last <-chan struct{}
	for ctx.Err() == nil {
		connected := r.conn.NextConnect()
		if connected != last {
			last, r.doubted = connected, time.Now()
		}
		switch {
		case !r.window.IsOpen():
		case r.decided.Load() != connected:
			r.decide(ctx, connected)
		default:
			r.remember()
			r.confirm()
		}
		select {
		case <-connected:
		case <-r.trigger:
			r.doubted = time.Now()
			r.forgetServers()
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// confirm has the window forget what is old enough, as far as the stream is known to be
// complete.
func (r *resender) confirm() {
	if r.window.Stats().Messages == 0 || !r.conn.Connected() {
		return
	}
	complete := r.streams.Complete(r.root)
	r.window.Confirm(complete)
	if time.Since(complete) > r.window.MaxAge()/4 {
		r.streams.Trigger()
	}
}

// forgetServers has the window sent again, also by the next process if this one ends
// before that.
func (r *resender) forgetServers() {
	if err := r.window.ForgetServers(); err != nil {
		r.log.Warn("what NATS lost is sent again by this process only", "err", err.Error())
	}
	r.undecide()
}

func (r *resender) undecide() {
	var undecided <-chan struct{}
	r.decided.Store(undecided)
}

// decide sends the window if the server may have lost something. It returns without a
// decision where that fails, and is called again.
func (r *resender) decide(ctx context.Context, connected <-chan struct{}) {
	if !r.conn.Connected() || r.conn.ServerID() == "" {
		return
	}
	if !r.window.Knows(r.receiver()) && !(r.awaitInspection(ctx) && r.send(ctx)) {
		return
	}
	r.decided.Store(connected)
	r.spooler.wakeFor(r.root)
	r.remember()
}

// remember notes that what is connected to has what is in the window.
func (r *resender) remember() {
	receiver := r.receiver()
	if receiver == "" || r.window.Knows(receiver) {
		return
	}
	if err := r.window.Remember(receiver); err != nil {
		r.log.Warn("the NATS server is not remembered: what it acknowledged is sent again after a restart of the relay", "err", err.Error())
	}
}

// awaitInspection reports whether the stream was inspected since there was a doubt about
// what it has, and waits a moment for that. What an inspection before has found may be a
// stream that is being deleted: it replies to what is sent, and keeps none of it.
func (r *resender) awaitInspection(ctx context.Context) bool {
	end := time.Now().Add(resendPause)
	for r.window.Stats().Messages > 0 && !r.streams.LastInspection(r.root).Began.After(r.doubted) {
		if time.Now().After(end) {
			return false
		}
		r.streams.Trigger()
		select {
		case <-time.After(inspectionPause):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// receiver identifies the server that is connected to and the stream that it has. It is
// empty while one of them is not known.
func (r *resender) receiver() string {
	server := r.conn.ServerID()
	looked := r.streams.LastInspection(r.root)
	switch {
	case server == "" || looked.Began.IsZero():
		return ""
	case looked.Created.IsZero():
		return server
	default:
		return server + " " + looked.Created.UTC().Format(time.RFC3339Nano)
	}
}
