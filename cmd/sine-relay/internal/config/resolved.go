package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// resolved are options that were understood. What is zero was not chosen.
type resolved struct {
	allowFrom   []netip.Prefix
	deciders    []relay.Decider
	combination policy.Combination
	zone        *time.Location
	zoneAssumed bool // zone is that of the environment
	budget      time.Duration
	rejectMode  relay.RejectMode
	confirmed   *bool
	kinds       []visit.Kind
	kindAliases map[string]visit.Kind
	// spec is what is configured of places, and fields that with its defaults.
	spec           fields.Spec
	fields         *fields.Fields
	expects        []fields.Expectation
	rejectText     string
	fallbacks      map[policy.Situation]policy.Fallback
	accept, reject *relay.Template
}

// withDefaults returns the options, with defaults where nothing was chosen. Fallbacks and
// event names are taken one by one.
func (c resolved) withDefaults(d resolved) resolved {
	return resolved{
		allowFrom: listOr(c.allowFrom, d.allowFrom),
		deciders:  listOr(c.deciders, d.deciders), combination: cmp.Or(c.combination, d.combination),
		zone:        cmp.Or(c.zone, d.zone),
		zoneAssumed: c.zone == nil && d.zoneAssumed,
		budget:      cmp.Or(c.budget, d.budget),
		rejectMode:  cmp.Or(c.rejectMode, d.rejectMode),
		confirmed:   cmp.Or(c.confirmed, d.confirmed),
		kinds:       listOr(c.kinds, d.kinds),
		kindAliases: overlay(d.kindAliases, c.kindAliases, func(_, own visit.Kind) visit.Kind { return own }),
		spec:        c.spec.Over(d.spec),
		fields:      cmp.Or(c.fields, d.fields),
		expects:     listOr(c.expects, d.expects),
		rejectText:  cmp.Or(c.rejectText, d.rejectText),
		fallbacks:   overlay(d.fallbacks, c.fallbacks, fallbackOr),
		accept:      cmp.Or(c.accept, d.accept),
		reject:      cmp.Or(c.reject, d.reject),
	}
}

// fallbackOr: a fallback that names its answer stands alone, since the texts of
// another answer would not fit. One that only rewords keeps the answer: it must
// not turn an accept into a reject.
func fallbackOr(inherited, own policy.Fallback) policy.Fallback {
	if own.Verdict != "" {
		return own
	}
	return policy.Fallback{
		Verdict:     inherited.Verdict,
		VisitorText: cmp.Or(own.VisitorText, inherited.VisitorText),
		AdminNote:   cmp.Or(own.AdminNote, inherited.AdminNote),
	}
}

func listOr[T any](own, inherited []T) []T {
	if own == nil {
		return inherited
	}
	return own
}

func overlay[K comparable, V any](under, over map[K]V, merge func(under, over V) V) map[K]V {
	all := make(map[K]V, len(under)+len(over))
	for key, value := range under {
		all[key] = value
	}
	for key, value := range over {
		if inherited, both := under[key]; both {
			value = merge(inherited, value)
		}
		all[key] = value
	}
	return all
}

// deciders reads who is asked: one by its name alone, or a list.
func (p fieldPath) deciders(o options) []relay.Decider {
	if o.Decider != "" && o.Deciders != nil {
		p.add("decider", "must not be set together with deciders")
	}
	if o.Decider != "" {
		p.deciderName("decider", o.Decider)
		return []relay.Decider{{Name: o.Decider}}
	}
	all, obeyed := []relay.Decider{}, 0
	seen := map[string]bool{}
	for i, d := range o.Deciders {
		field := fmt.Sprintf("deciders[%d]", i)
		p.deciderName(field+".name", d.Name)
		if seen[d.Name] {
			p.add(field+".name", "%q is used twice", d.Name)
		}
		seen[d.Name] = true
		if !d.Shadow {
			obeyed++
		}
		all = append(all, relay.Decider{
			Name: d.Name, Shadow: d.Shadow, Condition: p.condition(field+".condition", d.Condition),
			Expects:   p.expects(field+".expects", d.Expects),
			Fallbacks: p.fallbacks(field+".fallbacks", d.Fallbacks, policy.Unanswered),
		})
	}
	if o.Deciders != nil && obeyed == 0 {
		p.add("deciders", "at least one decider must not be a shadow")
	}
	if o.Deciders == nil {
		return nil
	}
	return all
}

func (p fieldPath) deciderName(field, name string) {
	if !visit.ValidName(name) {
		p.add(field, "%s", invalidName(name))
	}
}

// condition compiles an expression. Its problems are told with the line and the
// column within the expression.
func (p fieldPath) condition(field, expression string) *condition.Condition {
	if expression == "" {
		return nil
	}
	c, err := condition.Compile(expression)
	if err != nil {
		p.add(field, "%v", err)
	}
	return c
}

func (p fieldPath) combination(name string) policy.Combination {
	c := policy.Combination(name)
	if c != "" && c != policy.All && c != policy.Any {
		p.add("combine", "must be all or any, got %q", name)
	}
	return c
}
