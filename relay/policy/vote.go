package policy

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Vote is what asking one decider brought.
type Vote struct {
	Decider string
	// Situation is [Decided], or why there is no decision. One that is not in
	// [Unanswered] counts as [Timeout].
	Situation Situation
	// Decision is read when the situation is Decided. One that neither accepts
	// nor rejects is a [BadReply].
	Decision visit.Decision
	Took     time.Duration
}

// plain returns the vote in a situation that a decider can be in. A decision that
// is none must pass for neither an acceptance nor a rejection.
func (v Vote) plain() Vote {
	verdict := v.Decision.Verdict
	switch {
	case v.Situation == Decided && verdict != visit.Accept && verdict != visit.Reject:
		v.Situation = BadReply
	case v.Situation != Decided && !slices.Contains(Unanswered, v.Situation):
		v.Situation = Timeout
	}
	return v
}
