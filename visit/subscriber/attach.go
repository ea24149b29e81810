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

// ErrDurableMismatch is returned when the durable exists with another filter. Changing
// the filter would make it skip events silently, for this program or for another one
// that uses it.
var ErrDurableMismatch = errors.New("the durable exists with another filter")

const (
	// attachAttempts are made while connected, this far apart, before a
	// fault that may pass is taken for one that does not.
	attachAttempts = 6
	attachPause    = 500 * time.Millisecond
)

// attach creates the durable, or finds it. It waits for the connection, and for a
// JetStream that is starting.
func (c EventsConfig) attach(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	for failures := 0; ; {
		consumer, err := c.createOrFind(ctx, js)
		if err == nil {
			for _, warning := range c.warnings(consumer.CachedInfo().Config) {
				c.OnError(warning)
			}
		}
		if err == nil || ctx.Err() != nil || !retryable(err) {
			return consumer, err
		}
		if js.Conn().IsConnected() {
			failures++
		}
		if failures == attachAttempts {
			return nil, err
		}
		c.OnError(fmt.Errorf("attach to %s, retrying: %w", c.Stream, err))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(attachPause):
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

// adjust changes a durable that exists to the configuration. One that NATS does not
// change is better than none.
func (c EventsConfig) adjust(ctx context.Context, js jetstream.JetStream, found jetstream.Consumer) (jetstream.Consumer, error) {
	want, has := c.consumer(), found.CachedInfo().Config
	if has.FilterSubject != want.FilterSubject || has.AckPolicy != want.AckPolicy || has.HeadersOnly {
		return nil, fmt.Errorf("%w: %s receives %s instead of %s; choose another name, or: nats consumer rm %s %[2]s",
			ErrDurableMismatch, c.Durable, received(has), want.FilterSubject, c.Stream)
	}
	change := has
	change.AckWait, change.MaxDeliver, change.MaxAckPending = want.AckWait, want.MaxDeliver, want.MaxAckPending
	if c.BindOnly || change.AckWait == has.AckWait && change.MaxDeliver == has.MaxDeliver && change.MaxAckPending == has.MaxAckPending {
		return found, nil // it differs in where it began, or in what an operator set
	}
	changed, err := js.UpdateConsumer(ctx, c.Stream, change)
	if err != nil && !retryable(err) && ctx.Err() == nil {
		c.OnError(fmt.Errorf("%s keeps AckWait %s, MaxDeliver %d and MaxAckPending %d: %w",
			c.Durable, has.AckWait, has.MaxDeliver, has.MaxAckPending, err))
		return found, nil
	}
	return changed, err
}

// as is the configuration with the durable's own values, which may differ: a long
// handler must be reported as in progress within its AckWait, and an event is given up
// after its MaxDeliver.
func (c EventsConfig) as(has jetstream.ConsumerConfig) EventsConfig {
	c.AckWait, c.MaxDeliver = has.AckWait, has.MaxDeliver
	return c
}

// received describes what a durable receives.
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

// warnings are settings by somebody else that delay or lose events, of the durable or
// of every consumer of the stream.
func (c EventsConfig) warnings(has jetstream.ConsumerConfig) (found []error) {
	if has.MaxAckPending > 0 && c.MaxAckPending != has.MaxAckPending {
		found = append(found, fmt.Errorf("%s delivers no new event while %d are unacknowledged: its max_ack_pending should be -1", has.Durable, has.MaxAckPending))
	}
	if has.InactiveThreshold > 0 {
		found = append(found, fmt.Errorf("NATS deletes %s, with its position, when no program receives for %s", has.Durable, has.InactiveThreshold))
	}
	if has.ReplayPolicy != jetstream.ReplayInstantPolicy {
		found = append(found, fmt.Errorf("%s replays events at their original speed: its replay policy should be instant", has.Durable))
	}
	return found
}

// looksUp reports whether a subject is that of the durable's info request.
func (c EventsConfig) looksUp(subject string) bool {
	return strings.HasSuffix(subject, ".CONSUMER.INFO."+c.Stream+"."+c.Durable)
}

// retryable reports whether an error may be temporary.
func retryable(err error) bool {
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
