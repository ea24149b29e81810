package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

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
	// resendTimeout is how long one message may take.
	resendTimeout = 5 * time.Second
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
	f := promauto.With(cfg.Registerer)
	resent := f.NewCounter(prometheus.CounterOpts{
		Name: "sine_relay_window_resent_total", Help: "Acknowledged messages that were sent again, because NATS may have lost them.",
	})
	sum := func(value func(window.Stats) int64) func() float64 {
		return func() (sum float64) {
			for _, w := range cfg.Windows {
				sum += float64(value(w.Stats()))
			}
			return sum
		}
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sine_relay_window_messages", Help: "Acknowledged messages that are kept for as long as NATS may take to sync them.",
	}, sum(func(s window.Stats) int64 { return s.Messages }))
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sine_relay_window_bytes", Help: "Bytes of the files of these messages.",
	}, sum(func(s window.Stats) int64 { return s.Bytes }))
	f.NewCounterFunc(prometheus.CounterOpts{
		Name: "sine_relay_window_left_out_total", Help: "Acknowledged messages that are not kept, because the disk was full, too slow or failed.",
	}, sum(func(s window.Stats) int64 { return s.LeftOut }))
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

// send sends what is in the window, and reports whether that is done.
func (r *resender) send(ctx context.Context) bool {
	var n atomic.Int64
	err := r.window.Take(func(some []window.Acknowledged) error { return r.sendAll(ctx, some, &n) })
	if sent := n.Load(); sent > 0 {
		r.resent.Add(float64(sent))
		r.log.Warn("messages that NATS had acknowledged are sent again: it may have lost them", "messages", sent, "root", string(r.root))
	}
	if err != nil && ctx.Err() == nil && !isDisconnected(err) {
		r.log.Error("not all messages could be sent again that NATS may have lost", "err", err.Error())
	}
	return err == nil
}

// sendAll sends messages, those with one ordering key one after another.
func (r *resender) sendAll(ctx context.Context, all []window.Acknowledged, n *atomic.Int64) error {
	var keys [][]window.Acknowledged
	byKey := make(map[string]int)
	window := r.streams.DedupeWindow(r.root)
	for _, m := range all {
		if time.Since(m.At) > window {
			continue // the stream would not recognise it
		}
		i, known := byKey[m.Message.OrderingKey]
		if !known {
			i = len(keys)
			byKey[m.Message.OrderingKey], keys = i, append(keys, nil)
		}
		keys[i] = append(keys[i], m)
	}
	failed := make([]error, len(keys))
	places := make(chan struct{}, forwardKeys)
	var sending sync.WaitGroup
	var ended atomic.Bool // what takes nothing now takes nothing of the others
	for i, run := range keys {
		places <- struct{}{}
		sending.Go(func() {
			defer func() { <-places }()
			if !ended.Load() {
				failed[i] = r.sendRun(ctx, run, n)
			}
			if failed[i] != nil {
				ended.Store(true)
			}
		})
	}
	sending.Wait()
	for _, err := range failed { // one stands for all
		if err != nil {
			return err
		}
	}
	return nil
}

func whileConnected(_ visit.Root, failure error) bool { return isDisconnected(failure) }

// sendRun sends messages of one ordering key. What NATS refuses to that key, or to one
// message for its own sake, goes to the spool, which knows what to do about it.
func (r *resender) sendRun(ctx context.Context, run []window.Acknowledged, n *atomic.Int64) error {
	for i, m := range run {
		_, err := r.publisher.Repeat(ctx, m.Message, time.Now().Add(resendTimeout), whileConnected)
		switch {
		case err == nil:
			n.Add(1)
			r.window.AddAgain(m)
		case passes(err) && !ofSubject(err):
			return fmt.Errorf("send message %s again: %w", m.Message.ID, err)
		default:
			return r.spool(ctx, run[i:])
		}
	}
	return nil
}

// spool spools messages of one ordering key. Those of a visit come before what came
// meanwhile: they were acknowledged before it.
func (r *resender) spool(ctx context.Context, run []window.Acknowledged) error {
	unlock, err := r.keys.lock(ctx, run[0].Message)
	if err != nil {
		return err
	}
	defer unlock()
	var entries []spool.Entry
	for _, m := range run {
		entries = append(entries, spool.Entry{Message: m.Message, Order: m.Message.OrderingKey, Stored: m.At})
	}
	if run[0].Message.OfVisit() {
		return r.spooled(len(entries), r.spooler.spool.PutAhead(ctx, entries...))
	}
	for _, e := range entries { // there may be many, and the key is not locked
		if err := r.spooled(1, r.spooler.spool.Put(ctx, e)); err != nil {
			return err
		}
	}
	return nil
}

// spooled counts what was put, unless there was an error.
func (r *resender) spooled(n int, err error) error {
	if err != nil {
		return fmt.Errorf("spool what NATS may have lost: %w", err)
	}
	r.spooler.metrics.spooled.Add(float64(n))
	return nil
}
