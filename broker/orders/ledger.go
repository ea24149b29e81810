package orders

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

// record is what is known about one key. It is replaced, never changed.
type record struct {
	key string
	// order is the last that was given and not lifted, or nil. Its time may be
	// over.
	order *visit.Order
	// revision and stored are of its entry; zero for a kept one.
	revision uint64
	stored   time.Time
	// lost is set for a lockdown that the bucket no longer has and that stays
	// in force.
	lost bool
	// doubt is set for a lockdown's key whose entries are all invalid, where an
	// order may have been before.
	doubt bool
	// ended are the identities of orders that were lifted or replaced.
	ended []string

	// faults, invalid and deletions are of the entries after the last that
	// counts: whoever gives or lifts an order has seen to them.
	faults             []error
	invalid, deletions int
	// tookAll is set where one of them took away every entry of the bucket.
	tookAll bool

	// The entries that were read. oldest and last are revisions.
	entries, valid int
	oldest, last   uint64
	lastStored     time.Time
}

func (r record) id() string {
	if r.order == nil {
		return ""
	}
	return r.order.Identity()
}

// locks reports whether r keeps a door locked.
func (r record) locks(now time.Time) bool {
	return r.order != nil && r.order.Kind == visit.OrderLockdown && r.order.InForce(now)
}

// isEnded reports whether an order was lifted or replaced.
func (r record) isEnded(id string) bool { return slices.Contains(r.ended, id) }

// ending returns r with more orders that have ended.
func (r record) ending(ids ...string) record {
	for _, id := range ids {
		if !r.isEnded(id) {
			r.ended = append(slices.Clip(r.ended), id)
		}
	}
	r.ended = r.ended[max(0, len(r.ended)-maxEnded):]
	return r
}

// faulty returns r with one more report.
func (r record) faulty(err error, deleted bool) record {
	if len(r.faults) < maxFaults {
		r.faults = append(slices.Clip(r.faults), err)
	}
	if deleted {
		r.deletions++
	} else {
		r.invalid++
	}
	return r
}

// with is what holds once the next entry came.
func (r record) with(e entry) record {
	if r.entries == 0 {
		r.oldest = e.revision
	}
	r.key, r.last, r.lastStored = e.key, e.revision, e.stored
	r.entries++
	switch {
	case e.fault != nil:
		r.tookAll = r.tookAll || e.tookAll
		return r.faulty(e.fault, e.deleted)
	case e.lift != nil:
		if r.id() == e.lift.Lifts {
			r.order, r.lost = nil, false
		}
		r = r.ending(e.lift.Lifts)
	case r.isEnded(e.order.Identity()):
		return r.faulty(repeated(e), false)
	case r.order != nil && r.id() == e.order.Identity() && !r.stored.IsZero() && !r.lost:
		// The same again: a publication whose acknowledgement got lost.
	default:
		if r.order != nil && r.id() != e.order.Identity() {
			r = r.ending(r.id())
		}
		r.order, r.revision, r.stored, r.lost = e.order, e.revision, e.stored, false
	}
	r.valid++
	r.doubt, r.tookAll = false, false
	r.faults, r.invalid, r.deletions = nil, 0, 0
	return r
}

// renewed is what holds once all entries of the key were read: c is what they say
// by themselves. limit is how many of a key the bucket keeps.
func (r record) renewed(c record, limit int64, now time.Time) record {
	if c.last < r.last && c.lastStored.Before(r.lastStored) {
		return r // from a replica that lags behind
	}
	locked := r.locks(now)
	// Entries that came and went between two readings may have been orders.
	pushedOut := c.deletions > 0 || limit > 0 && int64(c.entries) >= limit
	kind, _, _ := termsOf(c.key)
	c.doubt = c.valid == 0 && !locked && kind == visit.OrderLockdown && (r.doubt || pushedOut && c.oldest > r.last)
	if c.order != nil && c.id() != r.id() && (r.isEnded(c.id()) || !c.newer(r)) {
		c.order = nil // it has ended; the bucket has lost what ended it
	}
	gone := r.order != nil && c.id() != r.id() && !c.isEnded(r.id())
	switch {
	case gone && c.order != nil:
		c = c.ending(r.id()) // replaced
	case gone && locked:
		c.order, c.revision, c.stored, c.lost = r.order, r.revision, r.stored, true
	}
	ended := c.ended
	c.ended = r.ended
	return c.ending(ended...)
}

// missing is what holds when the bucket has no entry of the key any more: only a
// lift says that somebody lifted it.
func (r record) missing(now time.Time) record {
	after := record{key: r.key, ended: r.ended, doubt: r.doubt}
	if r.locks(now) {
		after.order, after.revision, after.stored, after.lost = r.order, r.revision, r.stored, true
	}
	return after
}

// newer reports whether c's order was given after r's. In a bucket that was made
// again revisions begin anew, and the time of an earlier leader's clock may be
// ahead: either is enough.
func (c record) newer(r record) bool {
	switch {
	case r.order == nil:
		return true
	case r.stored.IsZero(): // kept
		return !c.order.Since.Before(r.order.Since)
	default:
		return c.revision > r.revision || c.stored.After(r.stored)
	}
}

// ledger has a record of each key.
type ledger map[string]record

// renewed is what holds once the whole bucket was read.
func (l ledger) renewed(read ledger, limit int64, now time.Time) ledger {
	after := make(ledger, len(read))
	for key, c := range read {
		after[key] = l[key].renewed(c, limit, now)
	}
	for key, r := range l {
		if _, there := read[key]; !there {
			after[key] = r.missing(now)
		}
	}
	return after
}

// with is what holds once one more entry came.
func (l ledger) with(e entry) ledger {
	r := l[e.key]
	if e.revision <= r.last && !e.stored.After(r.lastStored) {
		return l // it is known
	}
	after := maps.Clone(l)
	after[e.key] = r.with(e)
	return after
}

// of is what concerns these keys.
func (l ledger) of(keys map[string]bool) ledger {
	after := maps.Clone(l)
	maps.DeleteFunc(after, func(key string, _ record) bool { return !keys[key] })
	return after
}

// tookAll reports whether somebody took every entry away, and nobody gave or lifted
// an order in that place since.
func (l ledger) tookAll() bool {
	for _, r := range l {
		if r.tookAll {
			return true
		}
	}
	return false
}

func (l ledger) records() []record {
	all := make([]record, 0, len(l))
	for _, key := range slices.Sorted(maps.Keys(l)) {
		all = append(all, l[key])
	}
	return all
}

// orders are by key.
func (l ledger) orders() []visit.Order {
	return l.those(func(record) bool { return true })
}

// lost are the orders in force that the bucket no longer has.
func (l ledger) lost() []visit.Order {
	return l.those(func(r record) bool { return r.lost })
}

func (l ledger) those(wanted func(record) bool) []visit.Order {
	var all []visit.Order
	for _, r := range l.records() {
		if r.order != nil && wanted(r) {
			all = append(all, *r.order)
		}
	}
	return all
}

// invalid are the faults of the entries.
func (l ledger) invalid() []error {
	var all []error
	for _, r := range l.records() {
		all = append(all, r.faults...)
	}
	return all
}

// revision is that of the newest entry.
func (l ledger) revision() uint64 {
	var newest uint64
	for _, r := range l {
		newest = max(newest, r.last)
	}
	return newest
}
