package policy

import (
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Part is one member's part in an answer, for the record of decisions. It holds
// nothing that a decider or a person wrote.
type Part struct {
	Decider string
	Shadow  bool
	// Situation is [Decided], one of [Unanswered], [Unasked] where the
	// decider's condition did not hold, or [Unheard].
	Situation Situation
	// Verdict is what the member counted for, or would have without an order:
	// its own, or its fallback's. A shadow counts for nothing and has only its
	// own. It is empty where there is neither.
	Verdict visit.Verdict
	// Fallback is set when the verdict is the fallback's.
	Fallback bool
	// Agreement is that of a shadow that decided; else it is empty.
	Agreement Agreement
	// Took is zero where nothing was heard.
	Took time.Duration
}

// Agreement says whether a shadow would have answered as the visitor was
// answered, by whatever rule that was. It is empty where an order decided: that is
// nobody's judgement of the visitor.
type Agreement string

const (
	Agrees  Agreement = "agrees"
	Differs Agreement = "differs"
)

// Parts returns the part of every member, in the order of the configuration. It
// is meant for after the answer; before it, nobody agrees or differs, and those
// who have not voted are [Unheard].
func (t *Tally) Parts() []Part {
	parts := make([]Part, len(t.panel.Members))
	for i := range parts {
		parts[i] = t.part(i)
	}
	return parts
}

func (t *Tally) part(i int) Part {
	m, v := t.panel.Members[i], t.votes[i]
	p := Part{Decider: m.Decider, Shadow: m.Shadow, Situation: v.Situation, Took: v.Took}
	switch {
	case !t.asked[i]:
		p.Situation = Unasked
	case v.Situation == "":
		p.Situation = Unheard
	case !m.Shadow:
		counted := t.count(i, t.known || t.answer == nil)
		p.Verdict, p.Fallback = counted.Verdict, counted.Fallback
	case v.Situation == Decided:
		p.Verdict = v.Decision.Verdict
		p.Agreement = t.agreement(p.Verdict)
	}
	return p
}

func (t *Tally) agreement(v visit.Verdict) Agreement {
	switch {
	case t.answer == nil, t.answer.Situation == LockedDown, t.answer.Situation == Overridden:
		return ""
	case t.answer.Verdict == v:
		return Agrees
	default:
		return Differs
	}
}
