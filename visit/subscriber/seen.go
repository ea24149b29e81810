package subscriber

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// SeenInMemory remembers the last n ids, n at least 1, until the program ends. It
// returns no error.
func SeenInMemory(n int) Seen {
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

// SeenInBucket remembers ids in a JetStream key-value bucket, which programs may
// share and which survives them. The bucket's TTL is how long; a bucket without
// one grows for ever. The NATS user needs permission to publish to
// $KV.<bucket>.>, $JS.API.DIRECT.GET.KV_<bucket>.> and, to open the bucket,
// $JS.API.STREAM.INFO.KV_<bucket>.
func SeenInBucket(bucket jetstream.KeyValue) Seen { return keyValue{bucket} }

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
