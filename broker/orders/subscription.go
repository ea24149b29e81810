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
	// heartbeat is how often the server says that it still knows of the subscription;
	// when it is silent for twice as long, the subscription is dead.
	heartbeat = time.Second
	// leftAlone is when the server forgets a subscription that was stopped.
	leftAlone = 5 * time.Second
	// mostPerKey and mostAltogether bound what is read at once. The bucket
	// keeps ten entries of a key.
	mostPerKey     = 64
	mostAltogether = 100_000
)

// errGap means that something was lost on the way from the server.
var errGap = errors.New("messages of the server did not arrive")

// subscription delivers all entries of some keys, and then every new one.
//
// It has a consumer of its own, since nats.go's watcher keeps its faults to
// itself: when the bucket is deleted and made again it hears nothing more, and says
// nothing. And it reads what the bucket keeps of each key, not only the last: what
// somebody put over an order that counts may count for nothing.
type subscription struct {
	messages    jetstream.MessagesContext
	prefix      string // of the subjects
	maxOverride time.Duration
	first       uint64 // entries that were there at the start
	received    uint64
	pending     uint64 // what the server had left after the last one
}

// subscribe opens a subscription of some keys, or of all where there is none. It returns
// jetstream.ErrStreamNotFound when NATS says that there is no bucket.
func subscribe(ctx context.Context, js jetstream.JetStream, bucket string, keys []string, maxOverride time.Duration) (*subscription, error) {
	prefix := "$KV." + bucket + "."
	cfg := jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: leftAlone,
		MemoryStorage:     true,
		Replicas:          1,
	}
	most := uint64(mostAltogether)
	switch len(keys) {
	case 0:
		cfg.FilterSubject = prefix + ">"
	case 1:
		cfg.FilterSubject = prefix + keys[0]
	default:
		// Entries of other keys, however many, are not even sent.
		for _, key := range keys {
			cfg.FilterSubjects = append(cfg.FilterSubjects, prefix+key)
		}
		most = uint64(mostPerKey * len(keys))
	}
	consumer, err := js.CreateConsumer(ctx, streamOf(bucket), cfg)
	if err != nil {
		return nil, err
	}
	first := consumer.CachedInfo().NumPending
	if first > most {
		return nil, fmt.Errorf("%w: %d entries, the maximum is %d: nats stream edit %s --max-msgs-per-subject %d",
			errTooMany, first, most, streamOf(bucket), history)
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, err
	}
	return &subscription{messages: messages, prefix: prefix, maxOverride: maxOverride, first: first, pending: first}, nil
}

// errTooMany means that somebody fills the bucket.
var errTooMany = errors.New("the bucket has too many entries")

// all waits for the entries that were there at the start.
func (f *subscription) all(ctx context.Context) (ledger, error) {
	read := ledger{}
	// What was there comes first, so that many are enough even if the server
	// has had new ones meanwhile.
	for f.pending > 0 && f.received < f.first {
		e, err := f.next(ctx)
		if err != nil {
			return nil, err
		}
		read[e.key] = read[e.key].with(e)
	}
	return read, nil
}

// next waits for one entry.
func (f *subscription) next(ctx context.Context) (entry, error) {
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
	e := entry{key: strings.TrimPrefix(m.Subject(), f.prefix), revision: meta.Sequence.Stream, stored: meta.Timestamp}
	return e.read(m.Headers(), m.Data(), f.maxOverride), nil
}

// stop leaves the consumer to the server, which removes it: to delete it would
// take one more permission.
func (f *subscription) stop() { f.messages.Stop() }

func streamOf(bucket string) string { return "KV_" + bucket }
