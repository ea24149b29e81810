// Package drift notices that the bodies of an integration have changed: that a field
// which was there is missing from one delivery on, and which keys have come instead.
//
// A field is said to drift in two cases. It was renamed: a key that was never there
// before has come, and since its first delivery the field has been missing from all, at
// least from five, and from so many that it would be chance once in a million times. Or
// it has vanished, and nothing has come for it: it has been missing for eight days, from
// ten deliveries or more, from three times as many as ever before in a row, and it would
// be chance once in a thousand million times. A field that was always there so drifts
// with the fifth delivery after it was renamed, one that is there in three of four
// deliveries with the tenth, and one that is there in every second with the twentieth.
// It drifts no more once it is found again.
//
// What is missing is compared with deliveries of the same kind, of which there must have
// been twenty: a check-out need not have what a check-in has. Chance is reckoned as if
// visitors came one by one. Where a group comes that has a key of its own and lacks a
// field that the others have, that looks like a rename until the next of the others.
//
// A [Watch] keeps counts, and of keys hashes and masked names; no value of a body gets
// into it. It takes some five kilobytes for an integration, and 200 where every body has
// other keys. It knows nothing of what was before the process began.
package drift

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// enough are the deliveries before which nothing is compared.
	enough = 20
	// remembered are those after which older ones count half.
	remembered = 1024

	renamedChance, renamedMissing   = 1e-6, 5
	vanishedChance, vanishedMissing = 1e-9, 10
	// vanishedFor outlasts a week: at the weekend others may be asked other things.
	vanishedFor = 8 * 24 * time.Hour
	// longestRun is what is reckoned with: a field that is there so rarely does not drift.
	longestRun, never = 4096, math.MaxInt32
	// longerThanBefore is how many times as long as any before a run must be.
	longerThanBefore = 3
)

var kinds = []visit.Kind{visit.KindCheckInRequest, visit.KindCheckedIn, visit.KindCheckedOut}

// kindCount is the length of kinds.
const kindCount = 3

// Watch follows the bodies of one integration. It is safe for concurrent use.
type Watch struct {
	start  time.Time
	mu     sync.Mutex
	counts [fields.Count]Count
	kinds  [kindCount]*history
	keys   keys
}

// Count is how often a field was found, and how often not.
type Count struct {
	Field          fields.Field
	Found, Missing uint64
}

// Drift is a field that was there and is missing.
type Drift struct {
	Kind  visit.Kind
	Field fields.Field
	// Missing is from how many deliveries in a row.
	Missing int
	// Keys are those that have come since, masked as [Keys] says. There are none where
	// the field has vanished.
	Keys []string
}

// Change is what a delivery has changed. It is nearly always the zero value.
type Change struct {
	// Began are fields that drift from now on, and Ended those that were found again.
	Began, Ended []Drift
	// Names are keys that have now come several times, masked; each is here once.
	Names []string
}

// history is what is known of the bodies of one kind.
type history struct {
	number     int // of the kind
	deliveries int32
	fields     [fields.Count]presence
	// novel are keys that have come lately, after there was a history.
	novel []*key
}

// presence is how often a field is there.
type presence struct {
	// found and missing are without the present run, and halved from time to time.
	found, missing int32
	// run is from how many deliveries in a row the field has been missing, and longest
	// the longest of those that have ended.
	run, longest int32
	// renamed and vanished are the runs at which the field drifts; zero until they
	// are reckoned.
	renamed, vanished int32
	since             time.Duration // when the run began, after the watch
	drift             *Drift        // nil while the field does not drift
}

// New returns a watch that knows nothing yet.
func New(now time.Time) *Watch { return &Watch{start: now} }

// Observe notes a delivery that came at a time: the fields that were found in it, and the
// sum over its unknown keys. Where the sum is a new one, read is called for the keys, no
// more than 32 times at once and then once a second.
func (w *Watch) Observe(kind visit.Kind, found fields.Set, unknown uint64, at time.Time, read func() Keys) (c Change) {
	number := slices.Index(kinds, kind)
	if number < 0 {
		return c
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.kinds[number]
	if h == nil {
		h = &history{number: number}
		w.kinds[number] = h
	}
	h.deliveries++
	present := w.keys.of(unknown, at, read)
	for _, k := range present {
		h.note(k)
		if k.seen++; k.seen == seenOften && !slices.Contains(c.Names, k.name) {
			c.Names = append(c.Names, k.name)
		}
	}
	for i := range h.fields {
		here := found&(1<<i) != 0
		if here {
			w.counts[i].Found++
		} else {
			w.counts[i].Missing++
		}
		h.field(i, here, at.Sub(w.start), &c)
	}
	return c
}

// field notes whether a field was there.
func (h *history) field(i int, here bool, at time.Duration, c *Change) {
	p := &h.fields[i]
	switch {
	case here:
		if p.drift != nil {
			c.Ended = append(c.Ended, *p.drift)
		}
		p.end()
		return
	case p.found == 0: // it never was there
		p.missing = min(p.missing+1, remembered)
		return
	case p.run == 0:
		p.since = at
	}
	if p.run++; p.drift != nil {
		p.drift.Missing = int(p.run)
		return
	}
	if p.run < renamedMissing || p.found+p.missing < enough {
		return
	}
	if p.renamed == 0 {
		p.reckon()
	}
	names := h.insteadOf(p)
	if len(names) > 0 || p.run >= p.vanished && at-p.since >= vanishedFor {
		p.drift = &Drift{Kind: kinds[h.number], Field: fields.All[i], Missing: int(p.run), Keys: names}
		c.Began = append(c.Began, *p.drift)
	}
}

// end notes that the field was there.
func (p *presence) end() {
	p.longest = max(p.longest, p.run)
	p.missing += p.run
	p.found++
	p.run, p.renamed, p.vanished, p.drift = 0, 0, 0, nil
	for p.found+p.missing >= remembered {
		p.found, p.missing = max(1, p.found/2), p.missing/2
	}
}

// reckon finds out from how many deliveries the field must be missing, if a run as long
// is to be as improbable as it must be. How often the field is there is itself known by
// the deliveries before alone: the fewer they were, the longer it takes.
func (p *presence) reckon() {
	p.renamed, p.vanished = never, never
	chance, missing, all := 1.0, float64(p.missing)+.5, float64(p.found+p.missing)+1
	for run := int32(1); run <= longestRun; run++ {
		chance *= missing / all // that one more is missing, and the next is less of a surprise
		missing, all = missing+1, all+1
		if chance < renamedChance && p.renamed == never {
			p.renamed = max(renamedMissing, run)
		}
		if chance < vanishedChance {
			p.vanished = max(vanishedMissing, run, longerThanBefore*p.longest)
			return
		}
	}
}

// insteadOf are the new keys that may be another name of a field: since the first delivery
// with the key, and not for long before, the field has been missing, from so many as there
// must be, and the key is there about as often as the field was.
func (h *history) insteadOf(p *presence) (names []string) {
	for _, k := range h.novel {
		s := k.sightings[h.number]
		deliveries := h.deliveries - s.first + 1
		before := p.run - deliveries
		if deliveries < p.renamed || deliveries > novelFor || before < 0 || before >= p.renamed || k.seen < seenOften {
			continue
		}
		if 2*s.times*(p.found+p.missing) >= deliveries*p.found {
			names = append(names, k.name)
		}
	}
	return names
}

// Reset forgets what was known of fields that are looked for at other places from now on,
// and how bodies were told apart by the places of before. The counts go on.
func (w *Watch) Reset(changed fields.Set) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys.sums, w.keys.order = nil, nil
	for _, h := range w.kinds {
		for i := range fields.Count {
			if h != nil && changed&(1<<i) != 0 {
				h.fields[i] = presence{}
			}
		}
	}
}

// Drifts are the fields that drift.
func (w *Watch) Drifts() (all []Drift) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.kinds {
		if h == nil {
			continue
		}
		for i := range h.fields {
			if d := h.fields[i].drift; d != nil {
				all = append(all, *d)
			}
		}
	}
	return all
}

// Counts are those of the fields that were ever found, and of the different keys that led
// to no field.
func (w *Watch) Counts() (all []Count, unknownKeys uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range w.counts {
		if c.Found > 0 {
			c.Field = fields.All[i]
			all = append(all, c)
		}
	}
	return all, w.keys.count
}
