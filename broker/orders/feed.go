package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// heartbeat is how often the server says that it still knows of the feed;
	// when it is silent for twice as long, the feed is dead.
	heartbeat = time.Second
	// leftAlone is when the server forgets a feed that was stopped.
	leftAlone = 5 * time.Second
)

// errGap means that something was lost on the way from the server.
var errGap = errors.New("the server sent more than arrived")

// feed delivers the last entry of each key, and then every new one.
//
// It has a consumer of its own, since nats.go's watcher keeps its faults to
// itself: when the bucket is deleted and made again it hears nothing more, and says
// nothing.
type feed struct {
	messages jetstream.MessagesContext
	prefix   string // of the subjects
	first    uint64 // entries that were there at the start
	received uint64
	pending  uint64 // what the server had left after the last one
}

// subscribe opens a feed. It returns jetstream.ErrStreamNotFound when NATS says
// that there is no bucket.
func subscribe(ctx context.Context, js jetstream.JetStream, bucket string) (*feed, error) {
	prefix := "$KV." + bucket + "."
	consumer, err := js.CreateConsumer(ctx, streamOf(bucket), jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		FilterSubject:     prefix + ">",
		InactiveThreshold: leftAlone,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, err
	}
	first := consumer.CachedInfo().NumPending
	return &feed{messages: messages, prefix: prefix, first: first, pending: first}, nil
}

// all waits for the entries that were there at the start.
func (f *feed) all(ctx context.Context) (ledger, error) {
	entries := ledger{}
	// What was there comes first, so that many are enough even if the server
	// has had new ones meanwhile.
	for f.pending > 0 && f.received < f.first {
		e, err := f.next(ctx)
		if err != nil {
			return nil, err
		}
		entries[e.key] = e
	}
	return entries, nil
}

// next waits for one entry.
func (f *feed) next(ctx context.Context) (entry, error) {
	m, err := f.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return entry{}, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return entry{}, fmt.Errorf("read the bucket: %w", err)
	}
	f.received++
	if meta.Sequence.Consumer != f.received {
		return entry{}, errGap
	}
	f.pending = meta.NumPending
	return entryOf(strings.TrimPrefix(m.Subject(), f.prefix), m, meta), nil
}

// stop leaves the consumer to the server, which removes it: to delete it would
// take one more permission.
func (f *feed) stop() { f.messages.Stop() }

func streamOf(bucket string) string { return "KV_" + bucket }
