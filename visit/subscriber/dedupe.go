package subscriber

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// DedupeStore stores the ids of events that were handled. [DedupeInMemory] and
// [DedupeInBucket] are implementations; a table in the program's own database is better
// than either.
type DedupeStore interface {
	// Has reports whether the id was added, as far as it is still stored.
	Has(ctx context.Context, id string) (bool, error)
	// Add stores the id. Adding it again is not an error.
	Add(ctx context.Context, id string) error
}

// Dedupe returns a handler for [Events] that calls handle only for an event whose ID is
// not in the store: the relay recognizes a duplicate for 24 hours, this for as long as
// the store has it. The ID is added once handle has returned nil. A correction is not a
// repetition of the event that it corrects, and has an ID of its own.
//
// Within one program an ID is handled by one worker at a time. After a crash between
// handle and the adding, or an error of the store, which the handler returns, the event
// is redelivered and handled again: the guarantee is still at least once. Where
// handling it twice would do harm, store the ID in the transaction of the work itself,
// in place of Dedupe.
func Dedupe(store DedupeStore, handle func(ctx context.Context, e visit.Event) error) func(ctx context.Context, e visit.Event) error {
	o := &deduper{store: store, handle: handle, busy: make(map[string]chan struct{})}
	return o.receive
}

type deduper struct {
	store  DedupeStore
	handle func(context.Context, visit.Event) error

	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the id's worker is done
}

func (o *deduper) receive(ctx context.Context, e visit.Event) error {
	if err := o.enter(ctx, e.ID); err != nil {
		return err
	}
	defer o.leave(e.ID)
	known, err := o.store.Has(ctx, e.ID)
	if err != nil {
		return fmt.Errorf("look up event %s: %w", e.ID, err)
	}
	if known {
		return nil
	}
	if err := o.handle(ctx, e); err != nil {
		return err
	}
	if err := o.store.Add(ctx, e.ID); err != nil {
		return fmt.Errorf("store the id of event %s, which was handled: %w", e.ID, err)
	}
	return nil
}

// enter waits until no worker has the id.
func (o *deduper) enter(ctx context.Context, id string) error {
	for {
		o.mu.Lock()
		done, taken := o.busy[id]
		if !taken {
			o.busy[id] = make(chan struct{})
			o.mu.Unlock()
			return nil
		}
		o.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (o *deduper) leave(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.busy[id])
	delete(o.busy, id)
}

// DedupeInMemory stores the last n ids, at least one, until the program ends. Its methods
// return no errors.
func DedupeInMemory(n int) DedupeStore {
	return &ring{ids: make([]string, max(n, 1)), known: make(map[string]bool)}
}

type ring struct {
	mu    sync.Mutex
	ids   []string // the next to be removed is at next
	next  int
	known map[string]bool
}

func (r *ring) Has(_ context.Context, id string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[id], nil
}

func (r *ring) Add(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[id] {
		return nil
	}
	delete(r.known, r.ids[r.next])
	r.ids[r.next] = id
	r.known[id] = true
	r.next = (r.next + 1) % len(r.ids)
	return nil
}

// DedupeInBucket stores ids in a JetStream key-value bucket, which programs may share and
// which survives them. The bucket's TTL is how long; a bucket without one grows without
// limit. The NATS user needs permission to publish to
// $KV.<bucket>.>, $JS.API.DIRECT.GET.KV_<bucket>.> and, to open the bucket,
// $JS.API.STREAM.INFO.KV_<bucket>.
func DedupeInBucket(bucket jetstream.KeyValue) DedupeStore { return keyValue{bucket} }

type keyValue struct{ bucket jetstream.KeyValue }

func (k keyValue) Has(ctx context.Context, id string) (bool, error) {
	_, err := k.bucket.Get(ctx, keyOf(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (k keyValue) Add(ctx context.Context, id string) error {
	_, err := k.bucket.Put(ctx, keyOf(id), nil)
	return err
}

// keyOf returns a valid key for any id; the relay's own ids are valid keys.
func keyOf(id string) string {
	if len(id) == 32 {
		if _, err := hex.DecodeString(id); err == nil {
			return id
		}
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}
