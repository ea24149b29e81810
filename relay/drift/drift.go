// Package drift notices that the bodies of an integration have changed: that a field
// which was there is missing from one delivery on, and which keys have come instead.
//
// A field is said to drift in two cases. It was renamed: a key that was never there before
// has come, and since its first delivery the field has been missing, from five deliveries
// or more, and from so many visitors that it would be chance once in a million times, or
// in a hundred thousand where bodies of several kinds agree; all this within 64 deliveries.
// Or it has vanished, and nothing has come for it: it has been missing for eight days, from
// ten deliveries or more, from three times as many as ever before in a row, and it would be
// chance once in a thousand million times. A field that was always there so drifts with the fifth
// delivery after it was renamed, or with the ninth where each visitor makes three; one
// that is there in four of five deliveries of a kind drifts with about the ninth, and one
// that is there in every second with the twentieth. It drifts no more once it is found
// again.
//
// What is missing is compared with deliveries of the same kind, of which there must have
// been twenty: a check-out need not have what a check-in has. Chance is reckoned by one
// kind, as if visitors came one by one: who has no company at check-in has none at
// check-out. Where a group comes that has a key of its own and lacks a field that the
// others have, that looks like a rename until the next of the others.
//
// That is what one relay judges by what comes to it. A [State] is what several of them judge
// together by, each of which gets a part of the deliveries: see [Watch.States].
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

	// What is improbable enough, and from how many deliveries a field must be missing at
	// least.
	renamedChance, renamedMissing   = 1e-6, 5
	severalChance                   = 1e-5 // where bodies of several kinds agree
	vanishedChance, vanishedMissing = 1e-9, 10
	// renamedWithin is within how many deliveries of a new key the field it may be another
	// name of must be missed: what is missed later was seldom there.
	renamedWithin = 64
	// vanishedFor outlasts a week: at the weekend others may be asked other things.
	vanishedFor = 8 * 24 * time.Hour
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
	// foundAt is when the field was last there, and since when the run began, after the
	// beginning of the watch.
	foundAt, since time.Duration
	drift          *Drift // nil while the field does not drift
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
		w.field(h, i, here, at.Sub(w.start), &c)
	}
	return c
}

// field notes whether a field was there.
func (w *Watch) field(h *history, i int, here bool, at time.Duration, c *Change) {
	p := &h.fields[i]
	switch {
	case here:
		if p.drift != nil {
			c.Ended = append(c.Ended, *p.drift)
		}
		p.end()
		p.foundAt = at
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
	if p.found+p.missing < enough {
		return
	}
	names := w.insteadOf(h, i)
	if len(names) > 0 || at-p.since >= vanishedFor && p.vanished() {
		p.drift = &Drift{Kind: kinds[h.number], Field: fields.All[i], Missing: int(p.run), Keys: names}
		c.Began = append(c.Began, *p.drift)
	}
}

// end notes that the field was there.
func (p *presence) end() {
	p.longest = max(p.longest, p.run)
	p.missing += p.run
	p.found++
	p.run, p.drift = 0, nil
	for p.found+p.missing >= remembered {
		p.found, p.missing = max(1, p.found/2), p.missing/2
	}
}

// chance is how probable it is that the field is missing from so many deliveries in a row,
// after it was missing from some before them, which may be 0. How often it is there is
// itself known by the deliveries before alone: the fewer they were, the less of a surprise
// it is, and each that it is missing from makes the next less of one.
func (p *presence) chance(before, run int32) float64 {
	missing, all := float64(p.missing+before)+.5, float64(p.found+p.missing+before)+1
	return math.Exp(rising(missing, float64(run)) - rising(all, float64(run)))
}

// rising is the logarithm of x (x+1) (x+2) … with so many factors.
func rising(x, factors float64) float64 {
	above, _ := math.Lgamma(x + factors)
	below, _ := math.Lgamma(x)
	return above - below
}

// wasWithout reports whether the field has another history than one that got another name so
// many deliveries ago: it was there since, or was missing for long before.
func (p *presence) wasWithout(since int32) bool {
	return since > p.run || p.chance(0, p.run-since) < renamedChance
}

func (p *presence) vanished() bool {
	return p.run >= vanishedMissing && p.run >= longerThanBefore*p.longest && p.chance(0, p.run) < vanishedChance
}

// insteadOf are the new keys in bodies of a kind that may be another name of a field.
func (w *Watch) insteadOf(h *history, field int) (names []string) {
	for _, k := range h.novel {
		if k.seen >= seenOften && w.mayBe(k, field) {
			names = append(names, k.name)
		}
	}
	return names
}

// mayBe reports whether a key may be another name of a field: in all bodies of the kinds
// in which it is new, the field has been missing since the first delivery with the key,
// and not for long before, and the key is there about as often as the field was.
func (w *Watch) mayBe(k *key, field int) bool {
	chance, severally, deliveries, times, expected := 1.0, 0, int32(0), int32(0), 0.0
	for number, h := range w.kinds {
		s := k.sightings[number]
		if !s.novel {
			continue
		}
		p, since := &h.fields[field], h.since(s)
		if p.found == 0 || p.found+p.missing < enough || since > renamedWithin {
			continue
		}
		if p.wasWithout(since) {
			return false
		}
		chance = min(chance, p.chance(p.run-since, since))
		severally, deliveries, times = severally+1, deliveries+since, times+s.times
		expected += h.expected(s, field)
	}
	limit := renamedChance
	if severally > 1 {
		limit = severalChance
	}
	return deliveries >= renamedMissing && chance < limit && 2*float64(times) >= expected
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
