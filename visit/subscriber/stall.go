package subscriber

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StallError is reported to [EventsConfig].OnError when events are pending, and none has
// been delivered to any program with this durable for some time.
type StallError struct {
	Durable string
	// Duration is the time since the last delivery.
	Duration time.Duration
	// Pending is the number of events that this durable has not had yet.
	Pending uint64
	// AckPending is the number of unacknowledged events, which are being handled or
	// wait for redelivery; MaxAckPending is its limit, or -1.
	AckPending, MaxAckPending int
	// PauseRemaining is the time for which the consumer is still paused.
	PauseRemaining time.Duration
}

func (e *StallError) Error() string {
	return fmt.Sprintf("%s stalled: no new event for %s, %d pending: %s", e.Durable, e.Duration.Round(time.Second), e.Pending, e.why())
}

func (e *StallError) why() string {
	switch {
	case e.PauseRemaining > 0:
		return fmt.Sprintf("the consumer is paused for another %s", e.PauseRemaining.Round(time.Second))
	case e.MaxAckPending > 0 && e.AckPending >= e.MaxAckPending:
		return fmt.Sprintf("%d unacknowledged, the maximum; fix the failing handler, or raise MaxAckPending", e.AckPending)
	case e.AckPending > 0:
		return fmt.Sprintf("%d in flight or waiting for redelivery take all the time", e.AckPending)
	default:
		return "no program pulls them"
	}
}

// watchStall checks from time to time whether pending events are delivered. Those that
// one check finds pending may just have been stored; the next check knows.
func (r *receiver) watchStall(ctx context.Context, consumer jetstream.Consumer) {
	before := r.nc.LastError()
	var at uint64
	var since time.Time // zero while nothing is pending
	tick := time.NewTicker(r.cfg.StallAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		info, err := consumerInfo(ctx, consumer)
		switch {
		case err != nil:
			if err := denial(r.nc, before, r.cfg.looksUp); err != nil {
				r.cfg.OnError(fmt.Errorf("cannot detect stalls of %s: %w", r.cfg.Durable, err))
				return
			}
		case info.NumPending == 0:
			since = time.Time{}
		case since.IsZero() || info.Delivered.Stream != at:
			at, since = info.Delivered.Stream, time.Now()
		default:
			r.cfg.OnError(stalled(info, time.Since(since)))
		}
	}
}

func consumerInfo(ctx context.Context, consumer jetstream.Consumer) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	return consumer.Info(ctx)
}

func stalled(info *jetstream.ConsumerInfo, since time.Duration) *StallError {
	return &StallError{
		Durable: info.Name, Duration: since, Pending: info.NumPending,
		AckPending: info.NumAckPending, MaxAckPending: info.Config.MaxAckPending,
		PauseRemaining: info.PauseRemaining,
	}
}
