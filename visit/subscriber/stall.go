package subscriber

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StallError is reported to [EventsConfig].OnError when events wait, and none of
// them has come to any program with this durable for some time.
type StallError struct {
	Durable string
	// Duration is how long none has come.
	Duration time.Duration
	// Pending is how many events wait that this durable has never had.
	Pending uint64
	// AckPending is how many it has had that are with handlers, or failed
	// and wait for their retry; MaxAckPending is how many there may be, or -1.
	AckPending, MaxAckPending int
	// PauseRemaining is how long the consumer is paused for.
	PauseRemaining time.Duration
}

func (e *StallError) Error() string {
	return fmt.Sprintf("%s receives nothing new for %s while %d events wait: %s", e.Durable, e.Duration.Round(time.Second), e.Pending, e.why())
}

func (e *StallError) why() string {
	switch {
	case e.PauseRemaining > 0:
		return fmt.Sprintf("the consumer is paused for another %s", e.PauseRemaining.Round(time.Second))
	case e.MaxAckPending > 0 && e.AckPending >= e.MaxAckPending:
		return fmt.Sprintf("%d are not acknowledged, and no more may be; mend what fails, or raise MaxAckPending", e.AckPending)
	case e.AckPending > 0:
		return fmt.Sprintf("%d are with handlers or come again, and take all the time", e.AckPending)
	default:
		return "no program takes them"
	}
}

// watchStall looks from time to time whether what waits also comes. Events that one
// look finds waiting may just have been stored; the next one knows.
func (r *receiver) watchStall(ctx context.Context, consumer jetstream.Consumer) {
	before := r.nc.LastError()
	var at uint64
	var since time.Time // zero while nothing waits
	tick := time.NewTicker(r.cfg.StallAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		info, err := lookAt(ctx, consumer)
		switch {
		case err != nil:
			if err := denial(r.nc, before, r.cfg.looksUp); err != nil {
				r.cfg.OnError(fmt.Errorf("stalls of %s will not be noticed: %w", r.cfg.Durable, err))
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

func lookAt(ctx context.Context, consumer jetstream.Consumer) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
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
