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

// DedupeStore remembers the ids of events. [DedupeInMemory] and [DedupeInBucket] make one;
// a table beside the program's own is better than either.
type DedupeStore interface {
	// Has reports whether the id was added, as far as it is remembered.
	Has(ctx context.Context, id string) (bool, error)
	Add(ctx context.Context, id string) error
}

// Dedupe returns a handler for [Events] that hands an event to handle only when its
// ID was not seen: the relay recognises a repeat for 24 hours, this for as long
// as seen remembers. The ID is added once handle has returned nil.
//
// Within one program an ID is handled by one worker at a time. A crash between
// handle and the adding, or an error of seen, which Dedupe returns, lets the event
// come again and be handled again: at least once is still the promise. Where twice
// would do harm, write the ID in the transaction of the work itself, in place of
// Dedupe.
func Dedupe(seen DedupeStore, handle func(ctx context.Context, e visit.Event) error) func(ctx context.Context, e visit.Event) error {
	o := &once{seen: seen, handle: handle, busy: make(map[string]chan struct{})}
	return o.receive
}

type once struct {
	seen   DedupeStore
	handle func(context.Context, visit.Event) error

	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the id's worker is done
}

func (o *once) receive(ctx context.Context, e visit.Event) error {
	if err := o.enter(ctx, e.ID); err != nil {
		return err
	}
	defer o.leave(e.ID)
	known, err := o.seen.Has(ctx, e.ID)
	if err != nil {
		return fmt.Errorf("look whether event %s was seen: %w", e.ID, err)
	}
	if known {
		return nil
	}
	if err := o.handle(ctx, e); err != nil {
		return err
	}
	if err := o.seen.Add(ctx, e.ID); err != nil {
		return fmt.Errorf("remember event %s, which was handled: %w", e.ID, err)
	}
	return nil
}

// enter waits until nobody works on the id.
func (o *once) enter(ctx context.Context, id string) error {
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

func (o *once) leave(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.busy[id])
	delete(o.busy, id)
}

// DedupeInMemory remembers the last n ids, n at least 1, until the program ends. It
// returns no error.
func DedupeInMemory(n int) DedupeStore {
	return &ring{ids: make([]string, max(n, 1)), known: make(map[string]bool)}
}

type ring struct {
	mu    sync.Mutex
	ids   []string // the next to be forgotten is at next
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

// DedupeInBucket remembers ids in a JetStream key-value bucket, which programs may
// share and which survives them. The bucket's TTL is how long; a bucket without
// one grows for ever. The NATS user needs permission to publish to
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

// keyOf makes a valid key of anything; the relay's ids are valid themselves.
func keyOf(id string) string {
	if len(id) == 32 {
		if _, err := hex.DecodeString(id); err == nil {
			return id
		}
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}
