package orders

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

// tryTimeout is how long one try may take: what is sent to a leader that has just
// gone is never answered.
const tryTimeout = 2 * time.Second

// retry tries until it works, ctx ends, or trying again would not help. Whatever
// is tried may be done twice without harm.
func (b *Book) retry(ctx context.Context, try func(context.Context) error) error {
	for {
		err := b.try(ctx, try)
		if err == nil || !passing(err) {
			return err
		}
		rest(ctx, retryPause)
		if ctx.Err() != nil {
			return err
		}
	}
}

func (b *Book) try(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return dial.WhilePermitted(ctx, b.js.Conn(), toChange(b.bucket), try)
}

// passing reports whether a fault may go away by itself.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503
	}
	for _, e := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse,
		jetstream.ErrNoHeartbeat, visit.ErrDisconnected, errGap,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// rest returns after d, or when ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
