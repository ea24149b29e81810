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

// ErrDurableMismatch is returned when the durable exists and receives other
// subjects. To change them under it would make it skip events in silence, for
// this program or for the other one that uses it.
var ErrDurableMismatch = errors.New("the durable exists and receives something else")

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
		if err == nil {
			for _, oddity := range c.oddities(consumer.CachedInfo().Config) {
				c.OnError(oddity)
			}
		}
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
	if c.BindOnly {
		return c.find(ctx, js)
	}
	want := c.consumer()
	// Create and not CreateOrUpdate, which would change another program's
	// filter subject.
	created, err := js.CreateConsumer(ctx, c.Stream, want)
	if !errors.Is(err, jetstream.ErrConsumerExists) {
		return created, err
	}
	return c.find(ctx, js)
}

func (c EventsConfig) find(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	before := js.Conn().LastError()
	found, err := js.Consumer(ctx, c.Stream, c.Durable)
	if err != nil {
		return nil, cmp.Or(denial(js.Conn(), before, c.looksUp), err)
	}
	return c.adjust(ctx, js, found)
}

// adjust gives a durable that exists what the configuration says. One that NATS
// does not change is better than none.
func (c EventsConfig) adjust(ctx context.Context, js jetstream.JetStream, found jetstream.Consumer) (jetstream.Consumer, error) {
	want, has := c.consumer(), found.CachedInfo().Config
	if has.FilterSubject != want.FilterSubject || has.AckPolicy != want.AckPolicy || has.HeadersOnly {
		return nil, fmt.Errorf("%w: %s receives %s and not %s; choose another name, or: nats consumer rm %s %[2]s",
			ErrDurableMismatch, c.Durable, received(has), want.FilterSubject, c.Stream)
	}
	change := has
	change.AckWait, change.MaxDeliver, change.MaxAckPending = want.AckWait, want.MaxDeliver, want.MaxAckPending
	if c.BindOnly || change.AckWait == has.AckWait && change.MaxDeliver == has.MaxDeliver && change.MaxAckPending == has.MaxAckPending {
		return found, nil // it differs in where it began, or in what an operator set
	}
	changed, err := js.UpdateConsumer(ctx, c.Stream, change)
	if err != nil && !passing(err) && ctx.Err() == nil {
		c.OnError(fmt.Errorf("%s stays as it is, with AckWait %s, MaxDeliver %d and MaxAckPending %d: %w",
			c.Durable, has.AckWait, has.MaxDeliver, has.MaxAckPending, err))
		return found, nil
	}
	return changed, err
}

// as is the configuration with what the durable has, which may be another's: a
// handler that takes long must be said to within its AckWait, and an event is given
// up after its MaxDeliver.
func (c EventsConfig) as(has jetstream.ConsumerConfig) EventsConfig {
	c.AckWait, c.MaxDeliver = has.AckWait, has.MaxDeliver
	return c
}

// received says what a durable receives.
func received(has jetstream.ConsumerConfig) string {
	switch {
	case has.HeadersOnly:
		return "the headers only of " + has.FilterSubject
	case len(has.FilterSubjects) > 0:
		return strings.Join(has.FilterSubjects, ", ")
	default:
		return cmp.Or(has.FilterSubject, "everything")
	}
}

// oddities are what somebody else set that delays events or loses them, on the
// durable or for every consumer of the stream.
func (c EventsConfig) oddities(has jetstream.ConsumerConfig) (found []error) {
	if has.MaxAckPending > 0 && c.MaxAckPending != has.MaxAckPending {
		found = append(found, fmt.Errorf("%s delivers nothing new once %d events are not acknowledged: its max_ack_pending is not -1", has.Durable, has.MaxAckPending))
	}
	if has.InactiveThreshold > 0 {
		found = append(found, fmt.Errorf("NATS deletes %s, and what it has handled, when no program receives for %s", has.Durable, has.InactiveThreshold))
	}
	if has.ReplayPolicy != jetstream.ReplayInstantPolicy {
		found = append(found, fmt.Errorf("%s replays events as slowly as they once came: its replay policy is not instant", has.Durable))
	}
	return found
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
