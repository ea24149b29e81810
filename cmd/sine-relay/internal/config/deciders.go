package config

import (
	"fmt"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// deciders reads who is asked: one by its name alone, or a list.
func (p place) deciders(o options) []relay.Decider {
	if o.Decider != "" && o.Deciders != nil {
		p.add("decider", "and deciders are both there; name them all in deciders")
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
			p.add(field+".name", "%q is there twice", d.Name)
		}
		seen[d.Name] = true
		if !d.Shadow {
			obeyed++
		}
		all = append(all, relay.Decider{
			Name: d.Name, Shadow: d.Shadow, When: p.condition(field+".when", d.When),
			Fallbacks: p.fallbacks(field+".fallbacks", d.Fallbacks, policy.Unanswered),
		})
	}
	if o.Deciders != nil && obeyed == 0 {
		p.add("deciders", "one at least must be obeyed, and not a shadow")
	}
	if o.Deciders == nil {
		return nil
	}
	return all
}

func (p place) deciderName(field, name string) {
	if !visit.ValidName(name) {
		p.add(field, "%s", noName(name))
	}
}

// condition compiles an expression. Its faults are told with the line and the
// column within the expression.
func (p place) condition(field, expression string) *condition.Condition {
	if expression == "" {
		return nil
	}
	c, err := condition.Compile(expression)
	if err != nil {
		p.add(field, "%v", err)
	}
	return c
}

func (p place) combination(name string) policy.Combination {
	c := policy.Combination(name)
	if c != "" && c != policy.All && c != policy.Any {
		p.add("combine", "%q is neither all nor any", name)
	}
	return c
}
