package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// pullWait is how long NATS may take to open a stream for reading, and then for
// each message that there is. A refusal is silence.
const pullWait = 5 * time.Second

// operatorInbox is what every NATS client has by default. It is not the relay's:
// an operator cannot hear what the relay is told.
const operatorInbox = "_INBOX"

// dialOnce connects for somebody at a terminal, who wants to know at once when
// there is nobody to connect to, where the relay would wait.
func (c Config) dialOnce(more ...nats.Option) (*nats.Conn, error) {
	options, err := c.options()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	nc, err := nats.Connect(c.urls(), append(slices.Concat(options, more),
		nats.RetryOnFailedConnect(false), nats.MaxReconnects(5),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // by default it prints
	)...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return nc, nil
}

// scan calls fn for each message that is in a stream when it begins, oldest
// first, until fn returns an error, which it returns. What is deleted meanwhile
// is left out.
func scan(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.OrderedConsumerConfig, fn func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	fail := func(err error) error { return fmt.Errorf("read stream %s: %w", stream, explain(js.Conn(), err)) }
	opening, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	consumer, err := js.OrderedConsumer(opening, stream, cfg)
	if err != nil {
		return fail(err)
	}
	left := consumer.CachedInfo().NumPending
	messages, err := consumer.Messages()
	if err != nil {
		return fail(err)
	}
	defer messages.Stop()
	var last uint64
	for ; left > 0; left-- {
		waiting, cancel := context.WithTimeout(ctx, pullWait)
		m, err := messages.Next(jetstream.NextContext(waiting))
		cancel()
		if err != nil {
			if refused(js.Conn()) == nil && endsAfter(ctx, js, stream, cfg, last) {
				return nil
			}
			return fail(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fail(err)
		}
		last = meta.Sequence.Stream
		if err := fn(m, meta); err != nil {
			return err
		}
	}
	return nil
}

// endsAfter reports whether a stream has no message behind a sequence number. It
// asks for nothing that scan does not.
func endsAfter(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.OrderedConsumerConfig, last uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartSequencePolicy, last+1, nil
	consumer, err := js.OrderedConsumer(ctx, stream, cfg)
	return err == nil && consumer.CachedInfo().NumPending == 0
}

// refused is what NATS did not permit last, or nil.
func refused(nc *nats.Conn) error {
	if err := nc.LastError(); err != nil && errors.Is(err, nats.ErrPermissionViolation) {
		return err
	}
	return nil
}

// explain names what NATS refused: the client itself only says that the time was
// up.
func explain(nc *nats.Conn, err error) error {
	if refused := refused(nc); refused != nil {
		return fmt.Errorf("%w: %w", visit.ErrDenied, refused)
	}
	return err
}
