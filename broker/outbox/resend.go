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

	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// resender sends again what NATS has acknowledged and may have lost: a server syncs
// after it acknowledges, unless it is configured otherwise. When a server is connected
// to that is not known to have run since, or a stream has become shorter, it sends what
// is in the window, in its order and with the same ids. The streams recognise what they
// have. Meanwhile the spool waits, and new messages go there: what is sent again comes
// before them.
type resender struct {
	publisher *publisher
	window    *spool.Window
	wake      func() // the forwarders
	log       *slog.Logger
	resent    prometheus.Counter
	trigger   chan struct{}
	sending   atomic.Bool
	// decided is the value of conn.NextConnect for which it is known that nothing is
	// to be sent again, or was.
	decided atomic.Value
}

func newResender(cfg Config, p *publisher, wake func()) *resender {
	f := promauto.With(cfg.Registerer)
	gauge := func(name, help string, value func(spool.WindowStats) float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sine_relay_window_" + name, Help: help}, func() float64 { return value(cfg.Window.Stats()) })
	}
	gauge("messages", "Acknowledged messages that are kept for as long as NATS may take to sync them.", func(s spool.WindowStats) float64 { return float64(s.Messages) })
	gauge("bytes", "Bytes of the files of these messages.", func(s spool.WindowStats) float64 { return float64(s.Bytes) })
	f.NewCounterFunc(prometheus.CounterOpts{
		Name: "sine_relay_window_left_out_total", Help: "Acknowledged messages that are not kept, because the disk was too slow or failed.",
	}, func() float64 { return float64(cfg.Window.Stats().LeftOut) })
	return &resender{
		publisher: p, window: cfg.Window, wake: wake, log: cfg.Logger, trigger: make(chan struct{}, 1),
		resent: f.NewCounter(prometheus.CounterOpts{
			Name: "sine_relay_window_resent_total", Help: "Acknowledged messages that were sent again, because NATS may have lost them.",
		}),
	}
}

// comesFirst reports whether other messages must wait, in the spool.
func (r *resender) comesFirst() bool {
	return r != nil && (r.sending.Load() || r.decided.Load() != r.publisher.conn.NextConnect())
}

// resend has the window sent again soon.
func (r *resender) resend() {
	select {
	case r.trigger <- struct{}{}:
	default:
	}
}

// run follows the servers that are connected to, until ctx ends.
func (r *resender) run(ctx context.Context) {
	for ctx.Err() == nil {
		connected := r.publisher.conn.NextConnect()
		if server := r.publisher.conn.ServerID(); r.publisher.conn.Connected() && server != "" {
			if !r.window.Knows(server) && !r.started(ctx, server, connected) {
				continue
			}
			r.decided.Store(connected)
			r.wake()
		}
		select {
		case <-connected:
		case <-r.trigger:
			if !r.send(ctx, connected, "a stream lost messages") {
				r.resend()
			}
			r.wake()
		case <-ctx.Done():
		}
	}
}

// started sends the window to a server that has started anew, as far as is known. It
// reports false where that is to be tried again.
func (r *resender) started(ctx context.Context, server string, connected <-chan struct{}) bool {
	if !r.send(ctx, connected, "connected to a NATS server that started anew, or was not in use before") {
		return false
	}
	if err := r.window.Remember(server); err != nil {
		r.log.Warn("the NATS server is not remembered: what it acknowledged is sent again after a restart of the relay", "err", err.Error())
	}
	return true
}

// send sends what is in the window. It reports false, after a pause, where that is to be
// tried again.
func (r *resender) send(ctx context.Context, connected <-chan struct{}, reason string) bool {
	r.sending.Store(true)
	defer r.sending.Store(false)
	var n atomic.Int64
	err := r.window.Take(func(some []visit.Message) error { return r.sendAll(ctx, some, &n) })
	if sent := n.Load(); sent > 0 {
		r.resent.Add(float64(sent))
		r.log.Warn("messages that NATS had acknowledged are sent again: it may have lost them", "reason", reason, "messages", sent)
	}
	if err == nil {
		return true
	}
	if ctx.Err() == nil && !isDisconnected(err) {
		r.log.Error("not all messages could be sent again that NATS may have lost", "err", err.Error())
	}
	sleep(ctx, longestForwardPause, connected)
	return false
}

// sendAll sends messages, those with one ordering key one after another.
func (r *resender) sendAll(ctx context.Context, all []visit.Message, n *atomic.Int64) error {
	var keys [][]visit.Message
	byKey := make(map[string]int)
	for _, m := range all {
		key := string(m.Root) + " " + m.OrderingKey
		i, known := byKey[key]
		if !known {
			i = len(keys)
			byKey[key], keys = i, append(keys, nil)
		}
		keys[i] = append(keys[i], m)
	}
	failed := make([]error, len(keys))
	places := make(chan struct{}, forwardKeys)
	var sending sync.WaitGroup
	for i, run := range keys {
		places <- struct{}{}
		sending.Go(func() {
			defer func() { <-places }()
			failed[i] = r.sendRun(ctx, run, n)
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

// sendRun passes over a message that its stream refuses for its own sake: it took it
// before.
func (r *resender) sendRun(ctx context.Context, run []visit.Message, n *atomic.Int64) error {
	for _, m := range run {
		_, err := r.publisher.publish(ctx, m, time.Now().Add(forwardTimeout), isDisconnected)
		switch {
		case err == nil:
			n.Add(1)
		case passes(err):
			return fmt.Errorf("send message %s again: %w", m.ID, err)
		default:
			r.log.Error("a message that NATS may have lost is refused when it is sent again", "id", m.ID, "err", err.Error())
		}
	}
	return nil
}
