package policy

import (
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// inForce reports whether an order holds at a site. When it was given is not
// asked: a clock that runs ahead where a lockdown is ordered must not delay it
// here. Faults do not weaken a lockdown; a faulty override lets nobody in.
func inForce(o visit.Order, site string, now time.Time) bool {
	switch {
	case o.Site != site && !everywhere(o):
		return false
	case !o.InForce(now):
		return false
	case o.Kind == visit.OrderOverride:
		return o.Check() == nil
	default:
		return o.Kind == visit.OrderLockdown
	}
}

// everywhere takes a missing site for every site, which [visit.Order.Check]
// refuses: a lockdown must not fail for the want of a name.
func everywhere(o visit.Order) bool { return o.Site == visit.AllSites || o.Site == "" }

// beats reports whether an order in force comes before another that is in force
// at the same site, or before none.
func beats(o, other visit.Order) bool {
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
