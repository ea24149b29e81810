package relay

import (
	"context"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// hearing is what the deciders of an integration have to say about one visitor.
type hearing struct {
	in       *Integration
	tally    *policy.Tally
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
	h := &hearing{in: in, tally: in.panel.Tally(asked), versions: map[string]string{}, votes: make(chan vote, len(asked)), cancel: cancel}
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
	for h.pending > 0 && !h.tally.Settled() {
		h.take()
	}
	return h
}

// take waits for a vote and counts it.
func (h *hearing) take() {
	v := <-h.votes
	h.pending--
	h.tally.Add(v.Vote)
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
	v := vote{err: err, Vote: policy.Vote{Decider: decider, Situation: policy.Of(err), Decision: decision, Took: time.Since(start)}}
	result := string(v.Situation)
	r.metrics.asks.WithLabelValues(in.Name, decider, result).Inc()
	r.metrics.askSeconds.WithLabelValues(result).Observe(v.Took.Seconds())
	return v
}
