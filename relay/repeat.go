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
// is decided by it. It keeps keyed hashes and times, no bodies. An integration may
// have all the room until others want it: what is forgotten for a new body is the
// oldest of the integration that has most.
type repeats struct {
	seed  maphash.Seed
	mu    sync.Mutex
	first map[uint64]time.Time
	of    map[string][]uint64 // by integration, the oldest first
}

func newRepeats() *repeats {
	return &repeats{seed: maphash.MakeSeed(), first: make(map[uint64]time.Time), of: make(map[string][]uint64)}
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
	if len(r.first) >= remembered {
		r.forget()
	}
	r.of[integration] = append(r.of[integration], sum)
	r.first[sum] = now
	return 0, false
}

// forget makes room for one.
func (r *repeats) forget() {
	most := ""
	for integration, sums := range r.of {
		if len(sums) > len(r.of[most]) {
			most = integration
		}
	}
	delete(r.first, r.of[most][0])
	r.of[most] = r.of[most][1:]
}
