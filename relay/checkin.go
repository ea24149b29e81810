package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// checkIn answers a check-in request: a visitor stands at the door until it
// returns.
func (r *Relay) checkIn(c *call, in *Integration, req *http.Request, d *delivery, body []byte) answer {
	origin, _ := c.origin(in, d)
	st := r.standing(in)
	if given, ordered := st.Decide(); ordered {
		return r.answerDoor(c, in, origin, st, given, nil)
	}
	if !in.identifies(&d.pass) {
		r.unidentified(c, in)
		return r.answerDoor(c, in, origin, st, in.policy.Fallback(policy.Incomplete, st), nil)
	}
	place, err := r.limiter.acquireRequest(in.Name)
	if err != nil {
		c.fault = err
		return r.answerDoor(c, in, origin, st, in.policy.Fallback(policy.Overloaded, st), nil)
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
	return r.answerDoor(c, in, origin, st, h.ballot.Decide(st), h)
}

// unidentified notes that a body does not say who the visitor is.
func (r *Relay) unidentified(c *call, in *Integration) {
	r.metrics.unidentified.WithLabelValues(in.Name).Inc()
	if c.fault == nil {
		c.fault = errUnidentified
	}
}

// standing is what the operator has ordered for an integration's site.
func (r *Relay) standing(in *Integration) policy.ActiveOrder {
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
	given := in.policy.Fallback(s, st)
	return r.answerDoor(c, in, visit.Origin{Visit: visit.NewVisitKey(""), Synthetic: c.synthetic}, st, given, nil)
}

// answerDoor answers a check-in request and has the answer recorded.
func (r *Relay) answerDoor(c *call, in *Integration, origin visit.Origin, st policy.ActiveOrder, given policy.Decision, h *hearing) answer {
	r.record(c, in, origin, st, given, h)
	return in.doorAnswer(doorOutcome(given), given, c.id)
}

func doorOutcome(a policy.Decision) outcome {
	switch {
	case a.Situation != policy.Decided:
		return fallbackOutcome(a.Situation)
	case a.Verdict == visit.Reject:
		return outcomeRejected
	default:
		return outcomeAccepted
	}
}

// hearing is what the deciders of an integration have to say about one visitor.
type hearing struct {
	in       *Integration
	ballot   *policy.Ballot
	versions map[string]string // what deciders call their version
	votes    chan vote
	pending  int                // votes that are still to come
	cancel   context.CancelFunc // called when none is
	fault    error              // why the first who did not decide did not
}

// vote is one decider's, and why there is no decision in it.
type vote struct {
	policy.Vote
	err error
}

// hear asks every decider whose condition holds, all at once, and returns when the
// answer is certain or ctx has ended. The votes that are still to come are for the
// record.
func (r *Relay) hear(ctx context.Context, cancel context.CancelFunc, in *Integration, q *visit.CheckInRequest, v condition.Visitor) *hearing {
	asked := r.applicable(in, v)
	h := &hearing{in: in, ballot: in.policy.Ballot(asked), versions: map[string]string{}, votes: make(chan vote, len(asked)), cancel: cancel}
	question, err := q.Message(r.subjects, "")
	if err != nil {
		h.fault = err
		return h
	}
	for _, decider := range asked {
		h.pending++
		m := question
		m.Subject = r.subjects.Ask(in.Site, decider)
		go func() { h.votes <- r.ask(ctx, in, decider, m) }()
	}
	for h.pending > 0 && !h.ballot.Settled() {
		h.take()
	}
	return h
}

// take waits for a vote and counts it.
func (h *hearing) take() {
	v := <-h.votes
	h.pending--
	h.ballot.Add(v.Vote)
	h.versions[v.Decider] = v.Decision.Version
	if v.err != nil && h.fault == nil {
		h.fault = v.err
	}
}

// rest waits for the votes that nobody had to wait for. They come before the
// deadline of the hearing.
func (h *hearing) rest() {
	defer h.cancel()
	for h.pending > 0 {
		h.take()
	}
}

// applicable names the deciders who are asked. One whose condition cannot be told
// is asked.
func (r *Relay) applicable(in *Integration, v condition.Visitor) (asked []string) {
	for _, d := range in.Deciders {
		holds := true
		if d.When != nil {
			var err error
			holds, err = d.When.Holds(v)
			if err != nil {
				r.metrics.conditionErrors.WithLabelValues(in.Name, d.Name).Inc()
			}
		}
		if holds {
			asked = append(asked, d.Name)
		}
	}
	return asked
}

// visitor is whom the deciders' conditions are about.
func (d *delivery) visitor(in *Integration, received time.Time) condition.Visitor {
	return condition.Visitor{
		Pass: d.pass, UnreadAnswers: d.unreadAnswers,
		Integration: in.Name, Site: in.Site, Now: received.In(in.Zone),
	}
}

func (r *Relay) ask(ctx context.Context, in *Integration, decider string, question visit.Message) vote {
	start := time.Now()
	decision, err := r.asker.Ask(ctx, question)
	v := vote{err: err, Vote: policy.Vote{Decider: decider, Situation: policy.SituationOf(err), Decision: decision, Took: time.Since(start)}}
	result := string(v.Situation)
	r.metrics.asks.WithLabelValues(in.Name, decider, result).Inc()
	r.metrics.askSeconds.WithLabelValues(result).Observe(v.Took.Seconds())
	return v
}

// Trial is how a check-in request would have been answered.
type Trial struct {
	// Status and Body are what Sine would have been told.
	Status int
	Body   []byte
	// Took is until the answer was certain.
	Took  time.Duration
	Given policy.Decision
	// Votes are the deciders' parts.
	Votes []visit.Vote
}

// Try asks an integration's deciders as a visitor would, with a body as Sine sends
// it. The question is marked as synthetic, and nothing is stored or recorded.
func (r *Relay) Try(ctx context.Context, integration string, body []byte) (Trial, error) {
	in := r.book.Load().integrations[integration]
	if in == nil {
		return Trial{}, fmt.Errorf("no integration %s is configured", integration)
	}
	body = undo(body, nil, nil, r.limits.Body).text
	d, reason := decode(body, r.limits.JSONDepth)
	if reason == "" && !d.isEvent {
		reason = visit.ReasonUnknownEvent
	}
	if reason != "" {
		return Trial{}, fmt.Errorf("the body cannot be read (%s): the fallback unreadable would answer, and the body would be kept in the quarantine", reason)
	}
	if named := in.kindOf(d.event); named != "" && named != visit.KindCheckInRequest {
		return Trial{}, errors.New("the body is an event and not a check-in request")
	}
	c := &call{id: visit.NewRequestID(), start: r.now(), kind: visit.KindCheckInRequest, synthetic: true}
	origin, _ := c.origin(in, &d)
	t := Trial{}
	st := r.standing(in)
	given, ordered := st.Decide()
	switch {
	case ordered:
	case !in.identifies(&d.pass):
		given = in.policy.Fallback(policy.Incomplete, st)
	default:
		asking, cancel := context.WithDeadline(ctx, c.start.Add(in.Budget))
		h := r.hear(asking, cancel, in, &visit.CheckInRequest{Origin: origin, Pass: d.pass, Source: body}, d.visitor(in, c.start))
		given = h.ballot.Decide(r.standing(in))
		t.Took = time.Since(c.start)
		h.rest()
		t.Votes = r.votes(h)
	}
	a := in.doorAnswer(doorOutcome(given), given, c.id)
	t.Status, t.Body, t.Given = a.status, a.body, given
	return t, nil
}
