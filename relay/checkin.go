package relay

import (
	"context"
	"net/http"
	"time"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// checkIn answers a check-in request: a visitor stands at the door until it
// returns.
func (r *Relay) checkIn(c *call, in *Integration, req *http.Request, d *delivery, body []byte) answer {
	origin, _ := c.origin(in, d)
	st := r.standing(in)
	if given, ordered := st.Answer(); ordered {
		return r.answerDoor(c, in, origin, st, given, nil)
	}
	if !in.identifies(&d.pass) {
		r.unidentified(c, in)
		return r.answerDoor(c, in, origin, st, in.panel.Policy.Fall(policy.Incomplete, st), nil)
	}
	place, err := r.limiter.acquireRequest(in.Name)
	if err != nil {
		c.fault = err
		return r.answerDoor(c, in, origin, st, in.panel.Policy.Fall(policy.Overloaded, st), nil)
	}
	defer place.Release()

	// Not ended by a hang-up: a caller that only closed its sending side looks
	// the same, and still waits for the truth.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(req.Context()), c.start.Add(in.Budget))
	h := r.hear(ctx, cancel, in, &visit.CheckInRequest{Origin: origin, Pass: d.pass, Source: body}, d.visitor(in, c.start))
	if h.fault != nil {
		c.fault = h.fault
	}
	st = r.standing(in) // an order that was given meanwhile holds as well
	return r.answerDoor(c, in, origin, st, h.tally.Answer(st), h)
}

// unidentified notes that a body does not say who the visitor is.
func (r *Relay) unidentified(c *call, in *Integration) {
	r.metrics.unidentified.WithLabelValues(in.Name).Inc()
	if c.fault == nil {
		c.fault = errUnidentified
	}
}

// standing is what the operator has ordered for an integration's site.
func (r *Relay) standing(in *Integration) policy.Standing {
	all, known := r.orders.OrdersAt(in.Site)
	if !known {
		st := policy.OldOrders(all).At(in.Site, time.Now())
		st.Strict = r.strictOrders
		return st
	}
	return policy.NewOrders(all).At(in.Site, time.Now())
}

// fallback answers somebody who may be a visitor, and about whom nobody could be
// asked.
func (r *Relay) fallback(c *call, in *Integration, s policy.Situation) answer {
	st := r.standing(in)
	given := in.panel.Policy.Fall(s, st)
	return r.answerDoor(c, in, visit.Origin{Visit: visit.NewVisitKey(""), Synthetic: c.synthetic}, st, given, nil)
}

// answerDoor answers a check-in request and has the answer recorded.
func (r *Relay) answerDoor(c *call, in *Integration, origin visit.Origin, st policy.Standing, given policy.Answer, h *hearing) answer {
	r.record(c, in, origin, st, given, h)
	return in.doorAnswer(doorOutcome(given), given, c.id)
}

func doorOutcome(a policy.Answer) outcome {
	switch {
	case a.Situation != policy.Decided:
		return fallbackOutcome(a.Situation)
	case a.Verdict == visit.Reject:
		return outcomeRejected
	default:
		return outcomeAccepted
	}
}
