package relay

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// remembered is how many bodies are remembered: a few minutes of a very busy
// relay, a day of a quiet one, in less than a megabyte.
const remembered = 16384

// duplicates recognises bodies that came before. It serves to learn whether, and
// after what time, Sine sends a webhook again, which nobody has documented; nothing
// is decided by it. It keeps keyed hashes and times, no bodies. An integration may
// have all the room until others want it: what is forgotten for a new body is the
// oldest of the integration that has most.
type duplicates struct {
	seed  maphash.Seed
	start time.Time
	mu    sync.Mutex
	// first is when a body came, after start: a map of times would be searched by each
	// garbage collection.
	first map[uint64]time.Duration
	of    map[string][]uint64 // by integration, the oldest first
}

func newDuplicates() *duplicates {
	return &duplicates{seed: maphash.MakeSeed(), start: time.Now(), first: make(map[uint64]time.Duration), of: make(map[string][]uint64)}
}

// seen notes a body and returns how long before now it first came, if it did.
func (d *duplicates) seen(integration string, body []byte, now time.Time) (since time.Duration, duplicate bool) {
	var h maphash.Hash
	h.SetSeed(d.seed)
	h.WriteString(integration)
	h.WriteByte(0)
	h.Write(body)
	sum, came := h.Sum64(), now.Sub(d.start)

	d.mu.Lock()
	defer d.mu.Unlock()
	if first, ok := d.first[sum]; ok {
		return came - first, true
	}
	if len(d.first) >= remembered {
		d.forget()
	}
	d.of[integration] = append(d.of[integration], sum)
	d.first[sum] = came
	return 0, false
}

// forget makes room for one.
func (d *duplicates) forget() {
	most := ""
	for integration, sums := range d.of {
		if len(sums) > len(d.of[most]) {
			most = integration
		}
	}
	delete(d.first, d.of[most][0])
	d.of[most] = d.of[most][1:]
}

const (
	// rememberedVisits is how many visits are remembered of each integration:
	// a morning of a busy lobby, in less than 50 KB.
	rememberedVisits = 512
	// rememberedBodies is how many different bodies are remembered of each.
	rememberedBodies = 8
)

// visitIDs finds out whether Sine's ids distinguish visits: whether one kind,
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
func (v *visitIDs) conflict(integration string, kind visit.Kind, id, date string, body []byte) bool {
	if id == "" || date == "" {
		return false
	}
	type event struct{ kind, id, date string }
	identity := maphash.Comparable(v.seed, event{string(kind), id, date})
	content := maphash.Bytes(v.seed, body)
	v.mu.Lock()
	defer v.mu.Unlock()
	known := v.of[integration]
	if known == nil {
		known = &visitBodies{bodies: map[uint64][]uint64{}}
		v.of[integration] = known
	}
	return known.add(identity, content)
}

func (b *visitBodies) add(identity, content uint64) (conflict bool) {
	bodies, known := b.bodies[identity]
	switch {
	case slices.Contains(bodies, content):
		return false
	case len(bodies) < rememberedBodies:
		b.bodies[identity] = append(bodies, content)
	}
	if known {
		return true
	}
	if len(b.ring) < rememberedVisits {
		b.ring = append(b.ring, identity)
		return false
	}
	delete(b.bodies, b.ring[b.next])
	b.ring[b.next] = identity
	b.next = (b.next + 1) % rememberedVisits
	return false
}
