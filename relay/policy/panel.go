package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

// Combination says how the verdicts of several deciders become one.
type Combination string

const (
	// All accepts when every decider accepts, be it by its fallback: whoever
	// configured a fallback that accepts wants to do without that decider's
	// word when there is none.
	All Combination = "all"
	// Any accepts when one decider accepts. A fallback that accepts counts
	// only where no decider has decided: else the outage of one would let in
	// a visitor whom another, who is well and was asked, turned away. It
	// settles nothing before everybody was heard.
	Any Combination = "any"
)

// Member is one decider of a [Panel].
type Member struct {
	Decider string
	// Shadow members are asked and never obeyed.
	Shadow bool
	// Fallbacks lie over those of the panel's policy, for situations in
	// [Unanswered]. One without a verdict only rewords. [Panel.Complete]
	// fills the gaps.
	Fallbacks map[Situation]Fallback
}

// Panel is the deciders of one integration, and how they decide together. Where
// there is one decider, it is a panel of one. It may be used by several
// visitors at once.
type Panel struct {
	Combination Combination
	// Members are in the order in which they were configured: where texts or
	// fields of several count, this order is theirs.
	Members []Member
	Policy  Policy
}

// Complete returns the panel with defaults in place of what is missing, or says
// everything that is wrong with it.
func (p Panel) Complete() (Panel, error) {
	if p.Combination == "" {
		p.Combination = All
	}
	if err := p.check(); err != nil {
		return p, err
	}
	p.Policy = p.Policy.Complete()
	p.Members = slices.Clone(p.Members)
	for i, m := range p.Members {
		own := make(map[Situation]Fallback, len(Unanswered))
		for _, s := range Unanswered {
			own[s] = m.Fallbacks[s].over(p.Policy.Fallbacks[s]).complete(s, p.Policy.RejectText)
		}
		p.Members[i].Fallbacks = own
	}
	return p, nil
}

func (p Panel) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if p.Combination != All && p.Combination != Any {
		fault("combination %q is neither %s nor %s", p.Combination, All, Any)
	}
	seen := map[string]bool{}
	for _, m := range p.Members {
		if !visit.ValidName(m.Decider) {
			fault("decider %q must match %s", m.Decider, visit.NamePattern)
		}
		if seen[m.Decider] {
			fault("decider %q is there twice", m.Decider)
		}
		seen[m.Decider] = true
		if err := checkFallbacks(m.Fallbacks, Unanswered); err != nil {
			fault("decider %q: %w", m.Decider, err)
		}
	}
	if !slices.ContainsFunc(p.Members, func(m Member) bool { return !m.Shadow }) {
		fault("nobody decides: one decider at least must not be a shadow")
	}
	if err := checkFallbacks(p.Policy.Fallbacks, Missed); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// checkFallbacks finds fallbacks that would never be used, or say neither yes nor
// no.
func checkFallbacks(configured map[Situation]Fallback, known []Situation) error {
	var faults []error
	for _, s := range slices.Sorted(maps.Keys(configured)) {
		if !slices.Contains(known, s) {
			faults = append(faults, fmt.Errorf("fallback %q is for none of the situations %v", s, known))
		}
		switch v := configured[s].Verdict; v {
		case "", visit.Accept, visit.Reject:
		default:
			faults = append(faults, fmt.Errorf("fallback %q: %q is neither %s nor %s", s, v, visit.Accept, visit.Reject))
		}
	}
	return errors.Join(faults...)
}

// policyOf is the policy of one member of a complete panel.
func (p Panel) policyOf(m Member) Policy {
	return Policy{Fallbacks: m.Fallbacks, RejectText: p.Policy.RejectText}
}
