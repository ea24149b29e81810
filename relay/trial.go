package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// Trial is how a check-in request would have been answered.
type Trial struct {
	// Status and Body are what Sine would have been told.
	Status int
	Body   []byte
	// Took is until the answer was certain.
	Took  time.Duration
	Given policy.Answer
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
	given, ordered := st.Answer()
	switch {
	case ordered:
	case !in.identifies(&d.pass):
		given = in.panel.Policy.Fall(policy.Incomplete, st)
	default:
		asking, cancel := context.WithDeadline(ctx, c.start.Add(in.Budget))
		h := r.hear(asking, cancel, in, &visit.CheckInRequest{Origin: origin, Pass: d.pass, Source: body}, d.visitor(in, c.start))
		given = h.tally.Answer(r.standing(in))
		t.Took = time.Since(c.start)
		h.rest()
		t.Votes = r.votes(h)
	}
	a := in.doorAnswer(doorOutcome(given), given, c.id)
	t.Status, t.Body, t.Given = a.status, a.body, given
	return t, nil
}
