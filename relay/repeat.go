package relay

import (
	"hash/maphash"
	"sync"
	"time"
)

// remembered is how many bodies are kept in mind: a few minutes of a very busy
// relay, a day of a quiet one, in less than a megabyte.
const remembered = 16384

// repeats recognises bodies that came before. It serves to learn whether, and
// after what time, Sine sends a call again, which nobody has published; nothing
// is decided by it. It keeps keyed hashes and times, no bodies.
type repeats struct {
	seed  maphash.Seed
	mu    sync.Mutex
	first map[uint64]time.Time
	ring  []uint64
	next  int
}

func newRepeats() *repeats {
	return &repeats{seed: maphash.MakeSeed(), first: make(map[uint64]time.Time)}
}

// seen notes a body and returns how long before now it first came, if it did.
func (r *repeats) seen(integration string, body []byte, now time.Time) (since time.Duration, again bool) {
	var h maphash.Hash
	h.SetSeed(r.seed)
	h.WriteString(integration)
	h.WriteByte(0)
	h.Write(body)
	sum := h.Sum64()

	r.mu.Lock()
	defer r.mu.Unlock()
	if first, ok := r.first[sum]; ok {
		return now.Sub(first), true
	}
	if len(r.ring) < remembered {
		r.ring = append(r.ring, sum)
	} else {
		delete(r.first, r.ring[r.next])
		r.ring[r.next] = sum
		r.next = (r.next + 1) % remembered
	}
	r.first[sum] = now
	return 0, false
}
