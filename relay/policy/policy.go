// Package policy decides about a check-in request: from the decisions of one or
// several deciders, the fallbacks for those that are missing, and the standing
// orders that prevail over both. It is pure: it knows neither HTTP nor NATS, keeps
// nothing but the votes about one visitor, never waits, and takes the time from its
// caller.
//
// It promises a decision in every [Situation]. Every rejection has a text for the
// visitor.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

// Combination says how the verdicts of several deciders become one.
type Combination string

const (
	// All accepts when every decider accepts, be it by its fallback: whoever
	// configured a fallback that accepts wants to do without that decider's
	// decision when there is none.
	All Combination = "all"
	// Any accepts when one decider accepts. A fallback that accepts counts
	// only where no decider has decided: else the outage of one would let in
	// a visitor whom another, who is well and was asked, rejected. It settles
	// nothing before every vote is in.
	Any Combination = "any"
)

// Decider is one of those whose decisions a [Policy] combines.
type Decider struct {
	Name string
	// Shadow deciders are asked and never obeyed.
	Shadow bool
	// Fallbacks lie over those of the policy, for situations in [Unanswered].
	// One without a verdict only rewords. [Policy.Complete] fills the gaps.
	Fallbacks map[Situation]Fallback
}

// Policy is how one integration decides. It may be used for several visitors at
// once.
type Policy struct {
	Combination Combination
	// Deciders are in the order in which they were configured: where texts or
	// fields of several count, they count in this order.
	Deciders []Decider
	// Fallbacks has an entry for every situation in [Missed];
	// [Policy.Complete] fills the gaps.
	Fallbacks map[Situation]Fallback
	// RejectText stands in for the text of a decider that rejects without
	// one: Sine must always have something to show.
	RejectText string
}

// Complete returns the policy with defaults in place of what is missing, or says
// everything that is wrong with it.
func (p Policy) Complete() (Policy, error) {
	p.Combination = cmp.Or(p.Combination, All)
	if err := p.check(); err != nil {
		return p, err
	}
	p.RejectText = cmp.Or(unlessBlank(p.RejectText), DefaultRejectText)
	all := make(map[Situation]Fallback, len(Missed))
	for _, s := range Missed {
		all[s] = p.Fallbacks[s].complete(s, p.RejectText)
	}
	p.Fallbacks = all
	p.Deciders = slices.Clone(p.Deciders)
	for i, d := range p.Deciders {
		own := make(map[Situation]Fallback, len(Unanswered))
		for _, s := range Unanswered {
			own[s] = d.Fallbacks[s].mergeOver(p.Fallbacks[s]).complete(s, p.RejectText)
		}
		p.Deciders[i].Fallbacks = own
	}
	return p, nil
}

func (p Policy) check() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if p.Combination != All && p.Combination != Any {
		add("combination must be %s or %s, not %q", All, Any, p.Combination)
	}
	seen := map[string]bool{}
	for _, d := range p.Deciders {
		if !visit.ValidName(d.Name) {
			add("decider %q must match %s", d.Name, visit.NamePattern)
		}
		if seen[d.Name] {
			add("decider %q is configured twice", d.Name)
		}
		seen[d.Name] = true
		if err := checkFallbacks(d.Fallbacks, Unanswered); err != nil {
			add("decider %q: %w", d.Name, err)
		}
	}
	if !slices.ContainsFunc(p.Deciders, func(d Decider) bool { return !d.Shadow }) {
		add("at least one decider is needed that is not a shadow")
	}
	return errors.Join(append(errs, checkFallbacks(p.Fallbacks, Missed))...)
}

// Decision is what is decided about a visitor, and why.
type Decision struct {
	// Situation is [Decided] when the verdict is a decider's own, else that
	// of the fallback or of the order that was decisive.
	Situation Situation
	visit.Decision
	// By is the configured name of the decider whose verdict or fallback was
	// decisive. It is empty where several had to accept and did, and where
	// no single decider was decisive.
	By string
	// Fallback is set when the verdict is that of a fallback.
	Fallback bool
	// Rule says in a few words how the verdict came about, for the record:
	// "all: watchlist rejected". It contains configured names and fixed words,
	// and nothing that a decider or a person wrote.
	Rule string
}

// Fallback decides in a situation without a decider's decision, unless an order
// decides. A situation that has no fallback gets that of [Timeout]. The policy must
// be complete.
//
// While the orders are not known, a lockdown may be in force, and only a decider
// may let anybody in: a fallback that would accept rejects instead.
func (p Policy) Fallback(s Situation, active ActiveOrder) Decision {
	if d, ordered := active.Decide(); ordered {
		return d
	}
	return p.fallback(p.Fallbacks, s, active.Known)
}

const noteOrdersUnknown = "Sine Relay: it is not known whether a lockdown is in force. Reference {ref}."

func (p Policy) fallback(fallbacks map[Situation]Fallback, s Situation, ordersKnown bool) Decision {
	f, exists := fallbacks[s]
	if !exists {
		s, f = Timeout, fallbacks[Timeout]
	}
	why := " by fallback for "
	if f.Verdict != visit.Reject && !ordersKnown {
		f = Fallback{Verdict: visit.Reject, VisitorText: p.RejectText, AdminNote: noteOrdersUnknown}
		why = " by unknown orders over fallback for "
	}
	return Decision{Situation: s, Decision: f.decision(), Fallback: true, Rule: pastTense(f.Verdict) + why + string(s)}
}

// Refuse rejects in a situation without a decision, whatever its fallback says: for
// a webhook that cannot be answered in any other way. The policy must be complete.
func (p Policy) Refuse(s Situation) Decision {
	f := Fallback{Verdict: visit.Reject}.complete(s, p.RejectText)
	return Decision{Situation: s, Decision: f.decision(), Fallback: true, Rule: pastTense(visit.Reject) + " for " + string(s)}
}

// count returns what a normalized vote of a decider counts for.
func (p Policy) count(by Decider, v Vote, ordersKnown bool) Decision {
	d := Decision{Situation: Decided, Decision: v.Decision, Rule: pastTense(v.Decision.Verdict)}
	switch {
	case v.Situation != Decided:
		d = p.fallback(by.Fallbacks, v.Situation, ordersKnown)
	case d.Verdict == visit.Reject:
		d.VisitorText = cmp.Or(unlessBlank(d.VisitorText), p.RejectText)
	}
	d.By = by.Name
	return d
}

// rejectUnknown is what becomes of an acceptance that must not count.
func (p Policy) rejectUnknown(d Decision) Decision {
	f := Fallback{Verdict: visit.Reject, VisitorText: p.RejectText, AdminNote: noteOrdersUnknown}
	return Decision{Situation: OrdersUnknown, By: d.By, Rule: "rejected by unknown orders over: " + d.Rule, Decision: f.decision()}
}

func pastTense(v visit.Verdict) string {
	if v == visit.Accept {
		return "accepted"
	}
	return "rejected"
}
