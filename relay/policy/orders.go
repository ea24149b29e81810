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
func (o Orders) At(site string, now time.Time) ActiveOrder {
	active := ActiveOrder{Known: o.known}
	for _, order := range o.all {
		if inForce(order, site, now) && precedes(order, active.Order) {
			active.Order = order
		}
	}
	return active
}

// ActiveOrder is the standing order in force at one site at one time. Its zero
// value means that the orders are not known.
type ActiveOrder struct {
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
	noteOverride        = "Sine Relay: an override is in force; no decider was asked. Reference {ref}."
)

// Decide returns the decision of the order in force; it holds for every visitor,
// whatever a decider would say. Where no order is in force, ordered is false and
// there is no decision.
func (a ActiveOrder) Decide() (d Decision, ordered bool) {
	site := a.Order.Site
	if everywhere(a.Order) {
		site = "every site"
	}
	// A message of which nothing can be shown is none.
	d = Decision{Decision: visit.Decision{VisitorText: unlessBlank(strings.TrimSpace(visit.CleanText(a.Order.Message)))}}
	switch a.Order.Kind {
	case visit.OrderLockdown:
		d.Situation, d.Verdict, d.AdminNote = LockedDown, visit.Reject, noteLockdown
		d.VisitorText = cmp.Or(d.VisitorText, defaultLockdownText)
	case visit.OrderOverride:
		d.Situation, d.Verdict, d.AdminNote = Overridden, visit.Accept, noteOverride
	default:
		return Decision{}, false
	}
	d.Rule = pastTense(d.Verdict) + " by " + string(a.Order.Kind) + " of " + site
	return d, true
}

// inForce reports whether an order holds at a site. When it was given is not
// asked: a clock that runs ahead where a lockdown is ordered must not delay it
// here. An invalid lockdown holds all the same; an invalid override lets nobody in.
func inForce(o visit.Order, site string, now time.Time) bool {
	switch {
	case o.Site != site && !everywhere(o):
		return false
	case !o.InForce(now):
		return false
	case o.Kind == visit.OrderOverride:
		return o.Validate() == nil
	default:
		return o.Kind == visit.OrderLockdown
	}
}

// everywhere takes a missing site for every site, which [visit.Order.Check]
// refuses: a lockdown must not fail because a name is missing.
func everywhere(o visit.Order) bool { return o.Site == visit.AllSites || o.Site == "" }

// precedes reports whether an order in force comes before another that is in force
// at the same site, or before none.
func precedes(o, other visit.Order) bool {
	switch {
	case other.Kind == "":
		return true
	case o.Kind != other.Kind:
		return o.Kind == visit.OrderLockdown
	case everywhere(o) != everywhere(other):
		return everywhere(other)
	default:
		return o.Since.After(other.Since)
	}
}
