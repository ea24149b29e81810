package drift

import (
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// stateMissing is the most of [State.Missing]: of more the relay judges alone.
	stateMissing = 5
	// stateShare is how often a key must be there that may be another name of a field, by
	// how often the field was.
	stateShare = .75
)

// State is what a relay knows of a field in bodies of one kind. Relays that each get a part of
// the deliveries judge together by their states: a field was renamed where all that were
// Missing since the last of them has Found it are too many to be chance, which is the product
// of their chances. A state with a Since before that is left out: the relay was mistaken.
type State struct {
	Kind  visit.Kind
	Field fields.Field
	// Found is when the field was last found.
	Found time.Time
	// Missing is from how many deliveries in a row, since a new key came; 0 where it was
	// found since, or no new key may be another name of it.
	Missing int
	// Since is the first of the deliveries in a row, and Chance how probable it is that
	// they lack the field by chance. They are zero where Missing is.
	Since  time.Time
	Chance float64
}

// States are those of all fields that were found, by kind.
func (w *Watch) States() []State {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]State, 0, kindCount*fields.Count)
	for _, h := range w.kinds {
		if h == nil {
			continue
		}
		for i := range h.fields {
			p := &h.fields[i]
			if p.found == 0 {
				continue
			}
			s := State{Kind: kinds[h.number], Field: fields.All[i], Found: w.start.Add(p.foundAt)}
			if n := w.missingSinceKey(h, i); n > 0 {
				first := min(n, stateMissing)
				s.Missing, s.Since, s.Chance = int(first), w.start.Add(p.since), p.chance(p.run-n, first)
			}
			all = append(all, s)
		}
	}
	return all
}

// missingSinceKey is from how many deliveries of a kind a field has been missing since a new
// key came that may be another name of it, or 0.
func (w *Watch) missingSinceKey(h *history, field int) (most int32) {
	if h.fields[field].run == 0 {
		return 0
	}
	for _, k := range h.novel {
		if s := k.sightings[h.number]; w.isAmong(k, field) && float64(s.times) >= stateShare*h.expected(s, field) {
			most = max(most, h.since(s))
		}
	}
	return most
}

// isAmong reports whether a field has been missing from all bodies, of all kinds, since a key
// came in them, and not for long before. Unlike [Watch.mayBe] it needs no history of some
// length: a relay that has just started knows little, and its chances say so.
func (w *Watch) isAmong(k *key, field int) bool {
	for number, h := range w.kinds {
		s := k.sightings[number]
		if !s.novel || h.since(s) > novelFor {
			continue
		}
		if p := &h.fields[field]; p.found > 0 && p.wasWithout(h.since(s)) {
			return false
		}
	}
	return true
}

// since is how many deliveries of the kind there were since a key first came.
func (h *history) since(s sighting) int32 { return h.deliveries - s.first + 1 }

// expected is in how many of these a field would be, had it not been renamed.
func (h *history) expected(s sighting, field int) float64 {
	p := &h.fields[field]
	return float64(h.since(s)) * float64(p.found) / float64(p.found+p.missing)
}
