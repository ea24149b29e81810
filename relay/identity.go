package relay

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// rememberedVisits is how many visits are kept in mind of each integration:
	// a morning of a busy lobby, in less than 50 KB.
	rememberedVisits = 512
	// rememberedBodies is how many different bodies are told apart of each.
	rememberedBodies = 8
)

// identities finds out whether Sine's ids tell visits apart: whether one kind,
// visit id and date come with different bodies. Nothing is decided by it. It keeps
// keyed hashes only. Each integration has room of its own, so that none pushes out
// another's.
type identities struct {
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

func newIdentities() *identities {
	return &identities{seed: maphash.MakeSeed(), of: map[string]*visitBodies{}}
}

// conflict notes a body, and reports whether it is new and another came before
// with the same id and date.
func (i *identities) conflict(integration string, kind visit.Kind, id, date string, body []byte) bool {
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
