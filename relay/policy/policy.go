package policy

import (
	"cmp"

	"github.com/sine-relay/sine-relay/visit"
)

// Policy is how one integration's door behaves.
type Policy struct {
	// Fallbacks has an entry for every situation in [Missed];
	// [Policy.Complete] fills the gaps.
	Fallbacks map[Situation]Fallback
	// RejectText stands in for the text of a decider that rejects without
	// one: Sine must always have something to show.
	RejectText string
}

// Complete returns the policy with a fallback for every situation in [Missed],
// and default texts where there are none.
func (p Policy) Complete() Policy {
	p.RejectText = cmp.Or(unlessBlank(p.RejectText), DefaultRejectText)
	all := make(map[Situation]Fallback, len(Missed))
	for _, s := range Missed {
		all[s] = p.Fallbacks[s].complete(s, p.RejectText)
	}
	p.Fallbacks = all
	return p
}

// Answer is what the visitor and the administrator are told, and why.
type Answer struct {
	// Situation is [Decided] when the verdict is a decider's own, else that
	// of the fallback or of the order that was decisive.
	Situation Situation
	visit.Decision
	// By is the configured name of the decider whose verdict or fallback was
	// decisive. It is empty where several had to accept and did, and where
	// no single decider stands behind the answer.
	By string
	// Fallback is set when the verdict is that of a fallback.
	Fallback bool
	// Rule says in a few words how the verdict came about, for the record:
	// "all: watchlist rejected". It holds configured names and fixed words,
	// and nothing that a decider or a person wrote.
	Rule string
}

// Fall answers for a situation without a decision, unless an order decides. A
// situation that has no fallback gets that of [Timeout]. The policy must be
// complete.
//
// While the orders are not known, a lockdown may be in force, and only a decider
// may let anybody in: a fallback that would accept rejects instead.
func (p Policy) Fall(s Situation, st Standing) Answer {
	if a, ordered := st.Answer(); ordered {
		return a
	}
	return p.fall(s, st.Known)
}

// count says what a plain vote counts for.
func (p Policy) count(v Vote, ordersKnown bool) Answer {
	if v.Situation != Decided {
		return p.fall(v.Situation, ordersKnown)
	}
	d := v.Decision
	if d.Verdict == visit.Reject {
		d.VisitorText = cmp.Or(unlessBlank(d.VisitorText), p.RejectText)
	}
	return Answer{Situation: Decided, Decision: d, Rule: did(d.Verdict)}
}

const noteOrdersUnknown = "Sine Relay: it is not known whether a lockdown is in force. Reference {ref}."

func (p Policy) fall(s Situation, ordersKnown bool) Answer {
	f, exists := p.Fallbacks[s]
	if !exists {
		s, f = Timeout, p.Fallbacks[Timeout]
	}
	why := " by fallback for "
	if f.Verdict != visit.Reject && !ordersKnown {
		f = Fallback{Verdict: visit.Reject, VisitorText: p.RejectText, AdminNote: noteOrdersUnknown}
		why = " by unknown orders over fallback for "
	}
	return Answer{
		Situation: s,
		Decision:  visit.Decision{Verdict: f.Verdict, VisitorText: f.VisitorText, AdminNote: f.AdminNote},
		Fallback:  true,
		Rule:      did(f.Verdict) + why + string(s),
	}
}

// Refuse rejects in a situation without a decision, whatever its fallback says: for
// a caller whose call cannot be answered in any other way. The policy must be
// complete.
func (p Policy) Refuse(s Situation) Answer {
	f := Fallback{Verdict: visit.Reject}.complete(s, p.RejectText)
	return Answer{
		Situation: s, Fallback: true,
		Decision: visit.Decision{Verdict: f.Verdict, VisitorText: f.VisitorText, AdminNote: f.AdminNote},
		Rule:     did(visit.Reject) + " for " + string(s),
	}
}

// rejectUnknown is what becomes of an acceptance that must not count.
func (p Policy) rejectUnknown(a Answer) Answer {
	return Answer{
		Situation: OrdersUnknown, By: a.By, Rule: "rejected by unknown orders over: " + a.Rule,
		Decision: visit.Decision{Verdict: visit.Reject, VisitorText: p.RejectText, AdminNote: noteOrdersUnknown},
	}
}

func did(v visit.Verdict) string {
	if v == visit.Accept {
		return "accepted"
	}
	return "rejected"
}
