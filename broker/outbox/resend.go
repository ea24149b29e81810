package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// resendRetry is between two attempts to put a message of the window into a spool that
// is full or fails.
const resendRetry = time.Second

// resender sends again what NATS has acknowledged and may have lost: a server syncs
// after it acknowledges, unless it is configured otherwise. When a server that is not
// known to have run since is connected to, or a stream has become shorter, what is in
// the window goes through the spool, in its order and with the same ids. The streams
// recognise what they have.
type resender struct {
	conn    *conn.Conn
	window  *spool.Window
	spooler *spooler
	log     *slog.Logger
	// moving is set while the window is being emptied. Then new messages queue up
	// behind it.
	moving  atomic.Bool
	trigger chan struct{}
	resent  prometheus.Counter
}

func newResender(cfg Config, s *spooler) *resender {
	f := promauto.With(cfg.Registerer)
	r := &resender{
		conn: cfg.Conn, window: cfg.Window, spooler: s, log: cfg.Logger, trigger: make(chan struct{}, 1),
		resent: f.NewCounter(prometheus.CounterOpts{
			Name: "sine_relay_window_resent_total", Help: "Acknowledged messages that were sent again, because NATS may have lost them: they are in the ledger of the spool.",
		}),
	}
	gauge := func(name, help string, value func(spool.WindowStats) float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sine_relay_window_" + name, Help: help}, func() float64 { return value(cfg.Window.Stats()) })
	}
	gauge("messages", "Acknowledged messages that are kept for as long as NATS may take to sync them.", func(s spool.WindowStats) float64 { return float64(s.Messages) })
	gauge("bytes", "Bytes of the files of these messages.", func(s spool.WindowStats) float64 { return float64(s.Bytes) })
	f.NewCounterFunc(prometheus.CounterOpts{
		Name: "sine_relay_window_left_out_total", Help: "Acknowledged messages that are not kept, because the disk was too slow or failed.",
	}, func() float64 { return float64(cfg.Window.Stats().LeftOut) })
	return r
}

// isMoving reports whether new messages must queue up behind the window.
func (r *resender) isMoving() bool { return r != nil && r.moving.Load() }

// keep keeps a message that was acknowledged.
func (r *resender) keep(m visit.Message) {
	if r != nil {
		r.window.Add(m)
	}
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
		connected := r.conn.NextConnect()
		if server := r.conn.ServerID(); server != "" && !r.window.Knows(server) {
			r.move(ctx, "connected to a NATS server that started anew, or was not used before")
			if err := r.window.Remember(server); err != nil && ctx.Err() == nil {
				r.log.Warn("the NATS server is not remembered: what it acknowledged is sent again after a restart", "err", err.Error())
			}
		}
		select {
		case <-connected:
		case <-r.trigger:
			r.move(ctx, "a stream lost messages")
		case <-ctx.Done():
		}
	}
}

// move puts what is in the window into the spool.
func (r *resender) move(ctx context.Context, reason string) {
	r.moving.Store(true)
	defer r.moving.Store(false)
	n := 0
	err := r.window.Take(ctx, func(m visit.Message) error {
		if err := r.put(ctx, m); err != nil {
			return err
		}
		n++
		return nil
	})
	if n > 0 {
		r.log.Warn("messages that NATS had acknowledged are sent again, in case it had not synced them", "reason", reason, "messages", n)
	}
	if err != nil && ctx.Err() == nil {
		r.log.Error("cannot send all messages again that NATS may have lost", "err", err.Error())
	}
}

// put waits for a spool that has no room: it is being emptied.
func (r *resender) put(ctx context.Context, m visit.Message) error {
	for {
		err := r.spooler.spool.Put(ctx, spool.Entry{Message: m, Order: m.OrderingKey})
		switch {
		case err == nil:
			r.resent.Inc()
			r.spooler.metrics.spooled.Inc()
			r.spooler.wakeFor(m.Root)
			return nil
		case errors.Is(err, spool.ErrClosed), ctx.Err() != nil:
			return fmt.Errorf("put message %s into the spool: %w", m.ID, err)
		}
		r.moving.Store(false) // new messages need not wait for it
		sleep(ctx, resendRetry, nil)
	}
}
