package relay

import (
	"context"
	"net/http"
	"time"

	"github.com/sine-relay/sine-relay/relay/door"
	"github.com/sine-relay/sine-relay/visit"
)

// checkIn answers a check-in request: a visitor stands at the door until it
// returns.
func (r *Relay) checkIn(c *call, in *Integration, req *http.Request, d *delivery, body []byte) answer {
	leave, err := r.gate.admit()
	if err != nil {
		c.fault = err
		return r.fallback(c, in, door.Overloaded)
	}
	defer leave()

	// Not ended by a hang-up: a caller that only closed its sending side looks
	// the same, and still waits for the truth.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(req.Context()), c.start.Add(in.Budget))
	defer cancel()
	origin, _ := c.origin(in, d)
	question := visit.Request{Origin: origin, Pass: d.pass, Source: body}
	decision, err := r.ask(ctx, in, &question)
	c.fault = err
	given := in.Policy.Decide(decision, err)
	return in.doorAnswer(doorOutcome(given), given, c.id)
}

func (r *Relay) ask(ctx context.Context, in *Integration, question *visit.Request) (visit.Decision, error) {
	m, err := question.Message(r.subjects, in.Decider)
	if err != nil {
		return visit.Decision{}, err
	}
	start := time.Now()
	decision, err := r.asker.Ask(ctx, m)
	result := string(door.Of(err))
	r.metrics.asks.WithLabelValues(in.Name, result).Inc()
	r.metrics.askSeconds.WithLabelValues(result).Observe(time.Since(start).Seconds())
	return decision, err
}

// fallback answers a visitor for whom there is no decision.
func (r *Relay) fallback(c *call, in *Integration, s door.Situation) answer {
	given := in.Policy.Fall(s)
	return in.doorAnswer(doorOutcome(given), given, c.id)
}

func doorOutcome(a door.Answer) outcome {
	switch {
	case a.Situation != door.Decided:
		return fallbackOutcome(a.Situation)
	case a.Verdict == visit.Reject:
		return outcomeRejected
	default:
		return outcomeAccepted
	}
}
