//go:build linux && faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// quiet keeps a client from printing what is meant to happen.
var quiet = nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})

// auditor looks into the streams with rights of its own.
type auditor struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func newAuditor(t testing.TB, addresses []string, login nats.Option) *auditor {
	t.Helper()
	nc, err := nats.Connect(strings.Join(addresses, ","), login, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(50*time.Millisecond), nats.IgnoreAuthErrorAbort(), nats.PingInterval(time.Second), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &auditor{nc, js}
}

// attempt is how long one try of an operation on the streams may take.
const attempt = 5 * time.Second

// persist tries an operation until it succeeds: leaders come and go.
func persist(what string, operation func(ctx context.Context) error) error {
	var last error
	err := await(what, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), attempt)
		defer cancel()
		last = operation(ctx)
		return last == nil
	})
	return errors.Join(err, last)
}

// assembled waits until the nodes answer for JetStream: what a relay asks before
// that, it asks again much later.
func (a *auditor) assembled() error {
	return persist("the nodes have JetStream", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		_, err := a.js.AccountInfo(ctx)
		return err
	})
}

func (a *auditor) info(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	stream, err := a.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

// leader is the name of the node that leads the stream of events.
func (a *auditor) leader() (name string, err error) {
	err = persist("the stream has a leader", func(ctx context.Context) error {
		info, err := a.info(ctx, visit.DefaultEventStream)
		if err == nil && (info.Cluster == nil || info.Cluster.Leader == "") {
			err = errors.New("no leader")
		}
		if err == nil {
			name = info.Cluster.Leader
		}
		return err
	})
	return name, err
}

// change edits the stream of events.
func (a *auditor) change(edit func(*jetstream.StreamConfig)) error {
	return persist("the stream is changed", func(ctx context.Context) error {
		info, err := a.info(ctx, visit.DefaultEventStream)
		if err != nil {
			return err
		}
		edit(&info.Config)
		_, err = a.js.UpdateStream(ctx, info.Config)
		return err
	})
}

// messages reads a stream from its beginning to its end.
func (a *auditor) messages(name string) (all []message, err error) {
	err = persist("stream "+name+" is read", func(ctx context.Context) error {
		all = nil
		info, err := a.info(ctx, name)
		if err != nil || info.State.Msgs == 0 {
			return err
		}
		consumer, err := a.js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
		if err != nil {
			return err
		}
		// It may be read often, and an account has so many consumers at most.
		defer func() { _ = a.js.DeleteConsumer(ctx, name, consumer.CachedInfo().Name) }()
		for uint64(len(all)) < info.State.Msgs {
			page, err := fetch(ctx, consumer, min(1000, int(info.State.Msgs)-len(all)))
			if err != nil {
				return err
			}
			all = append(all, page...)
		}
		return nil
	})
	return all, err
}

func fetch(ctx context.Context, consumer jetstream.Consumer, count int) (page []message, err error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	batch, err := consumer.Fetch(count, jetstream.FetchMaxWait(time.Second))
	if err != nil {
		return nil, err
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("message on %s: %w", m.Subject(), err)
		}
		page = append(page, message{meta.Sequence.Stream, m.Subject(), m.Headers(), m.Data()})
	}
	return page, batch.Error()
}
