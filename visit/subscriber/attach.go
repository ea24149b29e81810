package subscriber

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrDurableTaken is returned when the durable exists and receives other
// subjects. To change them under it would make it skip events in silence, for
// this program or for the other one that uses it.
var ErrDurableTaken = errors.New("the durable exists and receives something else")

const (
	// attempts to attach are made while connected, this far apart, before a
	// fault that may pass is taken for one that does not.
	attempts     = 6
	attemptPause = 500 * time.Millisecond
)

// attach creates the durable, or finds it. It waits for the connection, and for
// a JetStream that is only just starting.
func (c EventsConfig) attach(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	for failures := 0; ; {
		consumer, err := c.createOrFind(ctx, js)
		if err == nil || ctx.Err() != nil || !passing(err) {
			return consumer, err
		}
		if js.Conn().IsConnected() {
			failures++
		}
		if failures == attempts {
			return nil, err
		}
		c.OnError(fmt.Errorf("attach to %s, will try again: %w", c.Stream, err))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(attemptPause):
		}
	}
}

func (c EventsConfig) createOrFind(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	want := c.consumer()
	// Create and not CreateOrUpdate, which would change another program's
	// filter subject.
	created, err := js.CreateConsumer(ctx, c.Stream, want)
	if !errors.Is(err, jetstream.ErrConsumerExists) {
		return created, err
	}
	before := js.Conn().LastError()
	found, err := js.Consumer(ctx, c.Stream, c.Durable)
	if err != nil {
		return nil, cmp.Or(denial(js.Conn(), before, c.looksUp), err)
	}
	has := found.CachedInfo().Config
	if has.FilterSubject != want.FilterSubject || has.AckPolicy != want.AckPolicy {
		return nil, fmt.Errorf("%w: %s receives %s and not %s; choose another name, or: nats consumer rm %s %[2]s",
			ErrDurableTaken, c.Durable, has.FilterSubject, want.FilterSubject, c.Stream)
	}
	if has.AckWait == want.AckWait && has.MaxDeliver == want.MaxDeliver {
		return found, nil // it differs in where it began, or in what an operator set
	}
	has.AckWait, has.MaxDeliver = want.AckWait, want.MaxDeliver
	return js.UpdateConsumer(ctx, c.Stream, has)
}

// looksUp reports whether a subject is the one that finds the durable.
func (c EventsConfig) looksUp(subject string) bool {
	return strings.HasSuffix(subject, ".CONSUMER.INFO."+c.Stream+"."+c.Durable)
}

// passing reports whether a fault may go away by itself.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		lasting := errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
		return api.Code == 503 && !lasting
	}
	for _, e := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders,
		nats.ErrReconnectBufExceeded, nats.ErrDisconnected, nats.ErrConnectionReconnecting,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
