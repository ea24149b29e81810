// Package live keeps the last things that happened, without anybody's name, and hands
// them to each viewer from where it was. A viewer holds nothing here: one that is slow
// misses entries and learns how many.
package live

import (
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Kept is how many entries are kept.
const Kept = 200

// Entry is a check-in request with its answer, or an event.
type Entry struct {
	// Number counts the entries, from 1 on.
	Number            uint64
	Received          time.Time
	Site, Integration string
	Kind              visit.Kind
	Synthetic         bool
	RequestID         string
	Visit             string // its key

	// Of a check-in request: how it was answered.
	Verdict   visit.Verdict
	Situation string
	Fallback  bool
	Reference string
	Took      time.Duration

	// Of an event.
	EventID  string
	Cause    visit.Cause
	Corrects bool
}

// OfRecord and OfEvent leave out what identifies a person.
func OfRecord(r *visit.Record) Entry {
	return Entry{
		Received: r.Received, Site: r.Site, Integration: r.Integration, Kind: visit.KindCheckInRequest, Synthetic: r.Synthetic,
		RequestID: r.RequestID, Visit: r.Visit.Value, Verdict: r.Verdict, Situation: r.Situation, Fallback: r.Fallback,
		Reference: r.Reference, Took: time.Duration(r.TookMs * float64(time.Millisecond)),
	}
}

func OfEvent(e *visit.Event) Entry {
	return Entry{
		Received: e.Received, Site: e.Site, Integration: e.Integration, Kind: e.Kind, Synthetic: e.Synthetic, RequestID: e.RequestID,
		Visit: e.Visit.Value, EventID: e.ID, Cause: e.Cause, Corrects: e.IsCorrection(),
	}
}

// Log is safe for concurrent use. Its zero value is empty.
type Log struct {
	mu   sync.Mutex
	ring [Kept]Entry
	last uint64
}

// Add numbers an entry and keeps it.
func (l *Log) Add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e.Number = l.last
	l.ring[l.last%Kept] = e
}

// Last is the number of the newest entry, 0 where there is none.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// After returns what came after an entry and is wanted, at most so many, the newest
// first; how many of those wanted were left out; how many are not kept any more, wanted or
// not; and the number to go on from.
func (l *Log) After(number uint64, most int, wanted func(*Entry) bool) (found []Entry, missed, lost, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number > l.last {
		number = 0 // of another process
	}
	oldest := uint64(1)
	if l.last > Kept {
		oldest = l.last - Kept + 1
	}
	if number+1 < oldest && number > 0 {
		lost = oldest - number - 1
	}
	for n := l.last; n >= oldest && n > number; n-- {
		e := &l.ring[n%Kept]
		switch {
		case !wanted(e):
		case len(found) < most:
			found = append(found, *e)
		default:
			missed++
		}
	}
	return found, missed, lost, l.last
}
