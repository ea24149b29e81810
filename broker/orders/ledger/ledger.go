package ledger

import (
	"maps"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// maxEnded are the ids of orders that have ended which are remembered for
	// each key. What is older than sinceTolerance cannot come back anyway.
	maxEnded = 256
	// maxFaults are the reports that are kept for each key; more are counted.
	maxFaults = 3
)

// Ledger has a record of each key.
type Ledger map[string]Record

// Renewed is what holds once the whole bucket was read.
func (l Ledger) Renewed(read Ledger, limit int64, now time.Time) Ledger {
	after := make(Ledger, len(read))
	for key, c := range read {
		after[key] = l[key].Renewed(c, limit, now)
	}
	for key, r := range l {
		if _, there := read[key]; !there {
			after[key] = r.missing(now)
		}
	}
	return after
}

// With is what holds once one more entry came.
func (l Ledger) With(e Entry) Ledger {
	r := l[e.Key]
	if e.Revision <= r.last && !e.Stored.After(r.lastStored) {
		return l // it is known
	}
	after := maps.Clone(l)
	after[e.Key] = r.With(e)
	return after
}

// Keep enters an order that an earlier process knew.
func (l Ledger) Keep(o visit.Order) {
	key := Key(o.Kind, o.Site)
	l[key] = Record{Key: key, Order: &o}
}

// Of is what concerns these keys.
func (l Ledger) Of(keys map[string]bool) Ledger {
	after := maps.Clone(l)
	maps.DeleteFunc(after, func(key string, _ Record) bool { return !keys[key] })
	return after
}

// TookAll reports whether somebody took every entry away, and nobody gave or lifted
// an order in that place since.
func (l Ledger) TookAll() bool {
	for _, r := range l {
		if r.tookAll {
			return true
		}
	}
	return false
}

// Records are by key.
func (l Ledger) Records() []Record {
	all := make([]Record, 0, len(l))
	for _, key := range slices.Sorted(maps.Keys(l)) {
		all = append(all, l[key])
	}
	return all
}

// Orders are by key.
func (l Ledger) Orders() []visit.Order {
	return l.those(func(Record) bool { return true })
}

// Lost are the orders in force that the bucket no longer has.
func (l Ledger) Lost() []visit.Order {
	return l.those(func(r Record) bool { return r.Lost })
}

func (l Ledger) those(wanted func(Record) bool) []visit.Order {
	var all []visit.Order
	for _, r := range l.Records() {
		if r.Order != nil && wanted(r) {
			all = append(all, *r.Order)
		}
	}
	return all
}

// Invalid are the faults of the entries.
func (l Ledger) Invalid() []error {
	var all []error
	for _, r := range l.Records() {
		all = append(all, r.Faults...)
	}
	return all
}

// Revision is that of the newest entry.
func (l Ledger) Revision() uint64 {
	var newest uint64
	for _, r := range l {
		newest = max(newest, r.last)
	}
	return newest
}
