package doors

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// maxVisits bounds the visits of which it is known whether they were rejected: those
	// that were heard of first are forgotten.
	maxVisits = 10_000
	// maxSteps bounds what is known of one visit, the newest.
	maxSteps = 8
)

// Contradiction is a visitor who was rejected and then checked in, without an acceptance
// in between. It is seen only where Sine sends an id of the visit with both.
type Contradiction struct {
	// RequestID and Reference are those of the last rejection before the check-in.
	RequestID, Reference string
	// Rejected and CheckedIn are when the relay received the one and the other.
	Rejected, CheckedIn time.Time
}

// visitID identifies a visit: nobody says that Sine's ids differ between sites.
type visitID struct{ site, key string }

// step is one thing that happened in a visit.
type step struct {
	at                   time.Time
	checkedIn, rejected  bool   // else it was accepted
	door                 place  // of a check-in
	requestID, reference string // of a verdict
}

// visits are what happened in the last visits, in whatever order it is heard.
type visits struct {
	steps map[visitID][]step // in the order of their times
	queue []visitID          // in the order in which they were first heard of
	// found are those in which somebody was rejected and checked in, at the door of the
	// check-in: the newest of each visit.
	found map[visitID]contradicted
}

type contradicted struct {
	Contradiction
	door place
}

func newVisits() visits {
	return visits{steps: map[visitID][]step{}, found: map[visitID]contradicted{}}
}

func (v *visits) record(r *visit.Record) {
	v.add(r.Site, r.Visit, step{at: r.Received, rejected: r.Verdict == visit.Reject, requestID: r.RequestID, reference: r.Reference})
}

func (v *visits) event(e *visit.Event) {
	if e.Kind == visit.KindCheckedIn {
		v.add(e.Site, e.Visit, step{at: e.Received, checkedIn: true, door: place{e.Site, e.Integration}})
	}
}

func (v *visits) add(site string, key visit.VisitKey, s step) {
	if !key.FromSine() {
		return
	}
	id := visitID{site, key.Value}
	steps, known := v.steps[id]
	if !known {
		if len(v.queue) == maxVisits {
			delete(v.steps, v.queue[0])
			delete(v.found, v.queue[0])
			v.queue = v.queue[1:]
		}
		v.queue = append(v.queue, id)
	}
	i, _ := slices.BinarySearchFunc(steps, s, func(b, a step) int { return b.at.Compare(a.at) })
	for i < len(steps) && steps[i].at.Equal(s.at) && s.checkedIn {
		i++ // a verdict comes before the check-in of its time
	}
	steps = slices.Insert(steps, i, s)
	v.steps[id] = steps[max(0, len(steps)-maxSteps):]
	v.look(id)
}

// look finds the newest check-in whose last verdict before it was a rejection.
func (v *visits) look(id visitID) {
	delete(v.found, id)
	var verdict *step
	for i := range v.steps[id] {
		s := &v.steps[id][i]
		switch {
		case !s.checkedIn:
			verdict = s
		case verdict != nil && verdict.rejected:
			v.found[id] = contradicted{Contradiction{verdict.requestID, verdict.reference, verdict.at, s.at}, s.door}
		}
	}
}

// byDoor are those of a day, by the door, the newest last.
func (v *visits) byDoor(now time.Time) map[place][]Contradiction {
	all := map[place][]Contradiction{}
	for _, c := range v.found {
		if now.Sub(c.CheckedIn) <= day {
			all[c.door] = append(all[c.door], c.Contradiction)
		}
	}
	for _, found := range all {
		slices.SortFunc(found, func(a, b Contradiction) int { return a.CheckedIn.Compare(b.CheckedIn) })
	}
	return all
}

// Contradicted reports whether somebody was checked in then who had been rejected.
func (m *Model) Contradicted(site, key string, checkedIn time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, known := m.visits.found[visitID{site, key}]
	return known && found.CheckedIn.Equal(checkedIn)
}
