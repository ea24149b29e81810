package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/orders/ledger"
	"github.com/sine-relay/sine-relay/internal/pause"
)

const (
	// rereadMost is how often the whole bucket is read although new entries
	// come by themselves: who delivers them may have fallen silent. Only a
	// reading counts as having heard: it takes a majority of the cluster, where
	// a consumer on a server that is cut off goes on sending heartbeats.
	rereadMost = 10 * time.Second
	// readTimeout bounds the first reading. Those after it must be quick:
	// what is delivered meanwhile waits.
	readTimeout   = 5 * time.Second
	rereadTimeout = 2 * time.Second
	createEvery   = 10 * time.Second
)

// rereadEvery leaves time for two failures before what is known is too old.
func (w *Watcher) rereadEvery() time.Duration { return min(rereadMost, w.cfg.MaxAge/3) }

// follow takes in the bucket and all that comes after, until it cannot go on.
func (w *Watcher) follow(ctx context.Context) error {
	f, err := w.read(ctx, readTimeout)
	if err != nil {
		return err
	}
	defer func() { f.stop() }()
	for {
		if err := w.receive(ctx, f); err != nil {
			return err
		}
		next, err := w.read(ctx, rereadTimeout)
		if err == nil {
			f.stop()
			f = next
			continue
		}
		if ctx.Err() != nil || errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		// During an election nobody answers, and orders may come all the same.
		w.report(fmt.Errorf("read the bucket again: %w", err))
		// Where a new site is waited for, it is tried again at once.
		pause.For(ctx, retryPause)
	}
}

// read takes in the whole bucket.
func (w *Watcher) read(ctx context.Context, timeout time.Duration) (*subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	asked := time.Now()
	keys := w.wanted()
	found, err := inspect(ctx, w.cfg.JetStream, w.cfg.Bucket, w.cfg.Replicas)
	if err != nil {
		return nil, err
	}
	f, err := subscribe(ctx, w.cfg.JetStream, w.cfg.Bucket, keys, w.cfg.MaxOverride)
	if err != nil {
		return nil, err
	}
	all, err := f.all(ctx)
	if err != nil {
		f.stop()
		return nil, err
	}
	w.renew(reading{look: found, entries: all, keys: keys, asked: asked})
	w.report(nil)
	return f, nil
}

// receive takes in new entries until it is time to read everything again.
func (w *Watcher) receive(ctx context.Context, f *subscription) error {
	until, cancel := context.WithTimeout(ctx, w.rereadEvery())
	defer cancel()
	w.mu.Lock()
	w.rereadNow = cancel
	pending := w.unread
	w.mu.Unlock()
	if pending {
		return nil
	}
	for {
		e, err := f.next(until)
		switch {
		case err == nil:
			w.take(w.entries.With(e))
		case ctx.Err() == nil && until.Err() != nil:
			return nil
		default:
			return err
		}
	}
}

var (
	// errAbsent is what NATS says of a bucket that was never made, or deleted.
	errAbsent = errors.New("no such bucket")
	// errDeleted means that there was one: in doubt it had a lockdown.
	errDeleted = errors.New("the bucket was deleted: known lockdowns stay in force, others are unknown; " + byWhom)
)

// absent creates the bucket where there has never been one. An absent bucket alone
// is no knowledge: somebody may have deleted it. It returns nil when there is one to
// follow.
func (w *Watcher) absent(ctx context.Context) error {
	if w.wasRead() {
		return errDeleted
	}
	if w.createErr != nil && time.Since(w.createdAt) < createEvery {
		return w.createErr
	}
	w.createdAt = time.Now()
	w.createErr = dial.WhilePermitted(ctx, w.cfg.JetStream.Conn(), toCreate(w.cfg.Bucket), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		if w.cfg.Unused != nil {
			unused, err := w.cfg.Unused(ctx)
			if err != nil {
				return err
			}
			if !unused {
				return errDeleted
			}
		}
		return create(ctx, w.cfg.JetStream, w.cfg.Bucket, w.cfg.Replicas)
	})
	if w.createErr != nil && !errors.Is(w.createErr, errDeleted) {
		w.createErr = fmt.Errorf("%w, and it could not be created: %w; an administrator must create it as in deploy/nats/streams", errAbsent, w.createErr)
	}
	return w.createErr
}

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

// all waits for the entries that were there at the start.
func (f *subscription) all(ctx context.Context) (ledger.Ledger, error) {
	read := ledger.Ledger{}
	// What was there comes first, so that many are enough even if the server
	// has had new ones meanwhile.
	for f.pending > 0 && f.received < f.first {
		e, err := f.next(ctx)
		if err != nil {
			return nil, err
		}
		read[e.Key] = read[e.Key].With(e)
	}
	return read, nil
}

// next waits for one entry.
func (f *subscription) next(ctx context.Context) (ledger.Entry, error) {
	m, err := f.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return ledger.Entry{}, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("read the bucket: %w", err)
	}
	f.received++
	if meta.Sequence.Consumer != f.received {
		return ledger.Entry{}, errGap
	}
	f.pending = meta.NumPending
	e := ledger.Entry{Key: strings.TrimPrefix(m.Subject(), f.prefix), Revision: meta.Sequence.Stream, Stored: meta.Timestamp}
	return e.Read(m.Headers(), m.Data(), f.maxOverride), nil
}

// stop leaves the consumer to the server, which removes it: to delete it would
// take one more permission.
func (f *subscription) stop() { f.messages.Stop() }
