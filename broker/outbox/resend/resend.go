// Package resend sends again what a stream has acknowledged and NATS may have lost: a server
// syncs after it acknowledges, unless it is configured otherwise.
package resend

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/outbox/publish"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
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

// Config is what a resender needs.
type Config struct {
	Root      visit.Root
	Conn      *conn.Conn
	Streams   *streams.Reconciler
	Publisher *publish.Publisher
	Window    *window.Window
	// Spool takes what NATS refuses to send again.
	Spool *spool.Spool
	// Lock has nothing else be stored or spooled with the ordering key of a message.
	Lock func(context.Context, visit.Message) (unlock func(), err error)
	// Passes reports whether a failure is of the moment, and neither of a message nor of its
	// ordering key.
	Passes func(error) bool
	// Spooled is called with how many messages the spool took, and Wake when nothing has to
	// wait any more.
	Spooled func(n int)
	Wake    func()
	Logger  *slog.Logger
	// Resent counts what was sent again.
	Resent prometheus.Counter
}

// Resender has the window of one root. When a server is connected to that is not known to
// have run since, or the stream has become shorter, it sends what is in the window, in its
// order and with the same ids. The stream recognises what it has. Meanwhile the spool waits,
// and new messages go there: what is sent again comes before them. Each root has its own: a
// stream that takes nothing holds up no other.
type Resender struct {
	Config
	trigger chan struct{}
	// decided is the value of conn.NextConnect for which it is known that nothing is
	// to be sent again, or was.
	decided atomic.Value
	// doubted is when Run last noticed that something was lost or the connection is
	// another one.
	doubted time.Time
}

// New returns a resender, which does nothing until [Resender.Run].
func New(cfg Config) *Resender { return &Resender{Config: cfg, trigger: make(chan struct{}, 1)} }

// ComesFirst reports whether other messages must wait. They do not wait for a window that
// cannot be opened.
func (r *Resender) ComesFirst() bool {
	return r.Window.IsOpen() && r.decided.Load() != r.Conn.NextConnect()
}

// Resend has the window sent again soon. From now on, it comes first.
func (r *Resender) Resend() {
	r.undecide()
	select {
	case r.trigger <- struct{}{}:
	default:
	}
}

// Run follows the servers that are connected to, until ctx ends.
func (r *Resender) Run(ctx context.Context) {
	tick := time.NewTicker(resendPause)
	defer tick.Stop()
	var last <-chan struct{}
	for ctx.Err() == nil {
		server, connected := r.Conn.InUse()
		if connected != last {
			last, r.doubted = connected, time.Now()
		}
		switch {
		case !r.Window.IsOpen():
		case r.decided.Load() != connected:
			r.decide(ctx, server, connected)
		default:
			r.remember(server)
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
func (r *Resender) confirm() {
	if r.Window.Stats().Messages == 0 || !r.Conn.Connected() {
		return
	}
	complete := r.Streams.Complete(r.Root)
	r.Window.Confirm(complete)
	if time.Since(complete) > r.Window.MaxAge()/4 {
		r.Streams.Trigger()
	}
}

// forgetServers has the window sent again, also by the next process if this one ends
// before that.
func (r *Resender) forgetServers() {
	if err := r.Window.ForgetServers(); err != nil {
		r.Logger.Warn("what NATS lost is sent again by this process only", "err", err.Error())
	}
	r.undecide()
}

func (r *Resender) undecide() {
	var undecided <-chan struct{}
	r.decided.Store(undecided)
}

// decide sends the window if the server may have lost something. It returns without a
// decision where that fails, and is called again. The server is that of this connect: by now
// there may be another one, which is decided on after this one.
func (r *Resender) decide(ctx context.Context, server string, connected <-chan struct{}) {
	if !r.Conn.Connected() || server == "" {
		return
	}
	if !r.Window.Knows(r.receiver(server)) && !(r.awaitInspection(ctx) && r.send(ctx)) {
		return
	}
	r.decided.Store(connected)
	r.Wake()
	r.remember(server)
}

// remember notes that a server has what is in the window.
func (r *Resender) remember(server string) {
	receiver := r.receiver(server)
	if receiver == "" || r.Window.Knows(receiver) {
		return
	}
	if err := r.Window.Remember(receiver); err != nil {
		r.Logger.Warn("the NATS server is not remembered: what it acknowledged is sent again after a restart of the relay", "err", err.Error())
	}
}

// awaitInspection reports whether the stream was inspected since there was a doubt about
// what it has, and waits a moment for that. What an inspection before has found may be a
// stream that is being deleted: it replies to what is sent, and keeps none of it.
func (r *Resender) awaitInspection(ctx context.Context) bool {
	end := time.Now().Add(resendPause)
	for r.Window.Stats().Messages > 0 && !r.Streams.LastInspection(r.Root).Began.After(r.doubted) {
		if time.Now().After(end) {
			return false
		}
		r.Streams.Trigger()
		select {
		case <-time.After(inspectionPause):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// receiver identifies a server and the stream that it has. It is empty while one of them is
// not known.
func (r *Resender) receiver(server string) string {
	looked := r.Streams.LastInspection(r.Root)
	switch {
	case server == "" || looked.Began.IsZero():
		return ""
	case looked.Created.IsZero():
		return server
	default:
		return server + " " + looked.Created.UTC().Format(time.RFC3339Nano)
	}
}
