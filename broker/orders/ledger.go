package orders

import (
	"maps"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// ledger has the last word on each key.
type ledger map[string]entry

// renewed is what holds once the whole bucket was read.
func (l ledger) renewed(read ledger, now time.Time) ledger {
	after := maps.Clone(read)
	for key, had := range l {
		found, there := read[key]
		switch {
		case there && found.staleTo(had):
			after[key] = had
		case !there && had.locks(now):
			// Only a marker says that somebody lifted it.
			had.lost = true
			after[key] = had
		}
	}
	return after
}

// with is what holds once one more entry came.
func (l ledger) with(e entry) ledger {
	if had, there := l[e.key]; there && e.staleTo(had) {
		return l
	}
	after := maps.Clone(l)
	after[e.key] = e
	return after
}

// orders are by key.
func (l ledger) orders() []visit.Order {
	return l.those(func(entry) bool { return true })
}

// lost are the orders in force that the bucket no longer has.
func (l ledger) lost() []visit.Order {
	return l.those(func(e entry) bool { return e.lost })
}

func (l ledger) those(wanted func(entry) bool) []visit.Order {
	var all []visit.Order
	for _, key := range slices.Sorted(maps.Keys(l)) {
		if e := l[key]; e.order != nil && wanted(e) {
			all = append(all, *e.order)
		}
	}
	return all
}

// invalid are the faults of the entries.
func (l ledger) invalid() []error {
	var all []error
	for _, key := range slices.Sorted(maps.Keys(l)) {
		if e := l[key]; e.fault != nil {
			all = append(all, e.fault)
		}
	}
	return all
}
