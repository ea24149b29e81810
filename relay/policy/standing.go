package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Orders is a snapshot of all standing orders. Its zero value means that they are
// not known: neither where they are kept nor a copy of it could be read. It may
// be used by several visitors at once.
type Orders struct {
	known bool
	all   []visit.Order
}

// OldOrders returns a snapshot of orders that were known once and may have changed
// since. Lockdowns hold, and overrides let nobody in.
func OldOrders(all []visit.Order) Orders {
	return Orders{all: slices.DeleteFunc(slices.Clone(all), func(o visit.Order) bool { return o.Kind != visit.OrderLockdown })}
}

// NewOrders returns a snapshot of orders that are known; there may be none. An
// order of a kind that is not known here has no effect.
func NewOrders(all []visit.Order) Orders { return Orders{known: true, all: slices.Clone(all)} }

// At returns what holds for a site at a time: the lockdown in force, else the
// override in force. One for the site itself comes before one for every site, and
// a later one before an earlier.
func (o Orders) At(site string, now time.Time) Standing {
	st := Standing{Known: o.known}
	for _, order := range o.all {
		if inForce(order, site, now) && beats(order, st.Order) {
			st.Order = order
		}
	}
	return st
}

// Standing is what the orders say about one site at one time. Its zero value
// means that they are not known.
type Standing struct {
	Known bool
	// Strict is set where nobody is let in while the orders are not known, not
	// even by a decider.
	Strict bool
	// Order is the one in force. Its kind is empty where there is none.
	Order visit.Order
}

// Texts where an order has none.
const (
	defaultLockdownText = "This site is closed to visitors at the moment. Please see reception. Reference {ref}."
	noteLockdown        = "Sine Relay: a lockdown is in force. Reference {ref}."
	noteOverride        = "Sine Relay: an override is in force; no decider had a say. Reference {ref}."
)

// Answer returns the answer of the order in force; it holds for every visitor,
// whatever a decider would say. Where no order is in force, ordered is false and
// there is no answer.
func (s Standing) Answer() (a Answer, ordered bool) {
	site := s.Order.Site
	if everywhere(s.Order) {
		site = "every site"
	}
	// A message of which nothing can be shown is none.
	a = Answer{Decision: visit.Decision{VisitorText: unlessBlank(strings.TrimSpace(visit.CleanText(s.Order.Message)))}}
	switch s.Order.Kind {
	case visit.OrderLockdown:
		a.Situation, a.Verdict, a.AdminNote = LockedDown, visit.Reject, noteLockdown
		a.VisitorText = cmp.Or(a.VisitorText, defaultLockdownText)
	case visit.OrderOverride:
		a.Situation, a.Verdict, a.AdminNote = Overridden, visit.Accept, noteOverride
	default:
		return Answer{}, false
	}
	a.Rule = did(a.Verdict) + " by " + string(s.Order.Kind) + " of " + site
	return a, true
}
