package ledger

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Record is what is known about one key. It is replaced, never changed.
type Record struct {
	Key string
	// Order is the last that was given and not lifted, or nil. Its time may be
	// over.
	Order *visit.Order
	// revision and stored are of its entry; zero for a kept one.
	revision uint64
	stored   time.Time
	// Lost is set for a lockdown that the bucket no longer has and that stays
	// in force.
	Lost bool
	// Doubt is set for a lockdown's key whose entries are all invalid, where an
	// order may have been before.
	Doubt bool
	// ended are the identities of orders that were lifted or replaced.
	ended []string

	// Faults, Invalid and Deletions are of the entries after the last that
	// counts: whoever gives or lifts an order has seen to them. Faults are the first
	// few.
	Faults             []error
	Invalid, Deletions int
	// tookAll is set where one of them took away every entry of the bucket.
	tookAll bool

	// Entries were read. oldest and last are revisions.
	Entries, valid int
	oldest, last   uint64
	lastStored     time.Time
}

// ID is the identity of the order, or empty.
func (r Record) ID() string {
	if r.Order == nil {
		return ""
	}
	return r.Order.Identity()
}

// locks reports whether r keeps a door locked.
func (r Record) locks(now time.Time) bool {
	return r.Order != nil && r.Order.Kind == visit.OrderLockdown && r.Order.InForce(now)
}

// isEnded reports whether an order was lifted or replaced.
func (r Record) isEnded(id string) bool { return slices.Contains(r.ended, id) }

// ending returns r with more orders that have ended.
func (r Record) ending(ids ...string) Record {
	for _, id := range ids {
		if !r.isEnded(id) {
			r.ended = append(slices.Clip(r.ended), id)
		}
	}
	r.ended = r.ended[max(0, len(r.ended)-maxEnded):]
	return r
}

// faulty returns r with one more report.
func (r Record) faulty(err error, deleted bool) Record {
	if len(r.Faults) < maxFaults {
		r.Faults = append(slices.Clip(r.Faults), err)
	}
	if deleted {
		r.Deletions++
	} else {
		r.Invalid++
	}
	return r
}

// With is what holds once the next entry came.
func (r Record) With(e Entry) Record {
	if r.Entries == 0 {
		r.oldest = e.Revision
	}
	r.Key, r.last, r.lastStored = e.Key, e.Revision, e.Stored
	r.Entries++
	switch {
	case e.Fault != nil:
		r.tookAll = r.tookAll || e.tookAll
		return r.faulty(e.Fault, e.Deleted)
	case e.Lift != nil:
		if r.ID() == e.Lift.Lifts {
			r.Order, r.Lost = nil, false
		}
		r = r.ending(e.Lift.Lifts)
	case r.isEnded(e.Order.Identity()):
		return r.faulty(repeated(e), false)
	case r.Order != nil && r.ID() == e.Order.Identity() && !r.stored.IsZero() && !r.Lost:
		// The same again: a publication whose acknowledgement got lost.
	default:
		if r.Order != nil && r.ID() != e.Order.Identity() {
			r = r.ending(r.ID())
		}
		r.Order, r.revision, r.stored, r.Lost = e.Order, e.Revision, e.Stored, false
	}
	r.valid++
	r.Doubt, r.tookAll = false, false
	r.Faults, r.Invalid, r.Deletions = nil, 0, 0
	return r
}

// Renewed is what holds once all entries of the key were read: c is what they say
// by themselves. limit is how many of a key the bucket keeps.
func (r Record) Renewed(c Record, limit int64, now time.Time) Record {
	if c.last < r.last && c.lastStored.Before(r.lastStored) {
		return r // from a replica that lags behind
	}
	locked := r.locks(now)
	// Entries that came and went between two readings may have been orders.
	pushedOut := c.Deletions > 0 || limit > 0 && int64(c.Entries) >= limit
	kind, _, _ := Terms(c.Key)
	c.Doubt = c.valid == 0 && !locked && kind == visit.OrderLockdown && (r.Doubt || pushedOut && c.oldest > r.last)
	if c.Order != nil && c.ID() != r.ID() && (r.isEnded(c.ID()) || !c.newer(r)) {
		c.Order = nil // it has ended; the bucket has lost what ended it
	}
	gone := r.Order != nil && c.ID() != r.ID() && !c.isEnded(r.ID())
	switch {
	case gone && c.Order != nil:
		c = c.ending(r.ID()) // replaced
	case gone && locked:
		c.Order, c.revision, c.stored, c.Lost = r.Order, r.revision, r.stored, true
	}
	ended := c.ended
	c.ended = r.ended
	return c.ending(ended...)
}

// missing is what holds when the bucket has no entry of the key any more: only a
// lift says that somebody lifted it.
func (r Record) missing(now time.Time) Record {
	after := Record{Key: r.Key, ended: r.ended, Doubt: r.Doubt}
	if r.locks(now) {
		after.Order, after.revision, after.stored, after.Lost = r.Order, r.revision, r.stored, true
	}
	return after
}

// newer reports whether c's order was given after r's. In a bucket that was made
// again revisions begin anew, and the time of an earlier leader's clock may be
// ahead: either is enough.
func (c Record) newer(r Record) bool {
	switch {
	case r.Order == nil:
		return true
	case r.stored.IsZero(): // kept
		return !c.Order.Since.Before(r.Order.Since)
	default:
		return c.revision > r.revision || c.stored.After(r.stored)
	}
}
