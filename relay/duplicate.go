package relay

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// remembered is how many bodies are kept in mind: a few minutes of a very busy
// relay, a day of a quiet one, in less than a megabyte.
const remembered = 16384

// duplicates recognises bodies that came before. It serves to learn whether, and
// after what time, Sine sends a call again, which nobody has published; nothing
// is decided by it. It keeps keyed hashes and times, no bodies. An integration may
// have all the room until others want it: what is forgotten for a new body is the
// oldest of the integration that has most.
type duplicates struct {
	seed  maphash.Seed
	mu    sync.Mutex
	first map[uint64]time.Time
	of    map[string][]uint64 // by integration, the oldest first
}

func newDuplicates() *duplicates {
	return &duplicates{seed: maphash.MakeSeed(), first: make(map[uint64]time.Time), of: make(map[string][]uint64)}
}

// seen notes a body and returns how long before now it first came, if it did.
func (r *duplicates) seen(integration string, body []byte, now time.Time) (since time.Duration, duplicate bool) {
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
func (r *duplicates) forget() {
	most := ""
	for integration, sums := range r.of {
		if len(sums) > len(r.of[most]) {
			most = integration
		}
	}
	delete(r.first, r.of[most][0])
	r.of[most] = r.of[most][1:]
}

const (
	// rememberedVisits is how many visits are kept in mind of each integration:
	// a morning of a busy lobby, in less than 50 KB.
	rememberedVisits = 512
	// rememberedBodies is how many different bodies are told apart of each.
	rememberedBodies = 8
)

// visitIDs finds out whether Sine's ids tell visits apart: whether one kind,
// visit id and date come with different bodies. Nothing is decided by it. It keeps
// keyed hashes only. Each integration has room of its own, so that none pushes out
// another's.
type visitIDs struct {
	seed maphash.Seed
	mu   sync.Mutex
	of   map[string]*visitBodies
}

// visitBodies holds the bodies by visit, and the visits in the order in which they
// came.
type visitBodies struct {
	bodies map[uint64][]uint64
	ring   []uint64
	next   int
}

func newVisitIDs() *visitIDs {
	return &visitIDs{seed: maphash.MakeSeed(), of: map[string]*visitBodies{}}
}

// conflict notes a body, and reports whether it is new and another came before
// with the same id and date.
func (i *visitIDs) conflict(integration string, kind visit.Kind, id, date string, body []byte) bool {
	if id == "" || date == "" {
		return false
	}
	type event struct{ kind, id, date string }
	identity := maphash.Comparable(i.seed, event{string(kind), id, date})
	content := maphash.Bytes(i.seed, body)
	i.mu.Lock()
	defer i.mu.Unlock()
	known := i.of[integration]
	if known == nil {
		known = &visitBodies{bodies: map[uint64][]uint64{}}
		i.of[integration] = known
	}
	return known.add(identity, content)
}

func (v *visitBodies) add(identity, content uint64) (conflict bool) {
	bodies, known := v.bodies[identity]
	switch {
	case slices.Contains(bodies, content):
		return false
	case len(bodies) < rememberedBodies:
		v.bodies[identity] = append(bodies, content)
	}
	if known {
		return true
	}
	if len(v.ring) < rememberedVisits {
		v.ring = append(v.ring, identity)
		return false
	}
	delete(v.bodies, v.ring[v.next])
	v.ring[v.next] = identity
	v.next = (v.next + 1) % rememberedVisits
	return false
}
