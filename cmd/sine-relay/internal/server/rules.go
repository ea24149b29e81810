package server

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/relay"
)

// rules are what the integrations are answered by, without their keys.
type rules struct {
	integrations []relay.Integration
	// broken is what is wrong with integrations, by their name.
	broken map[string]string
	// problems are lines for people.
	problems []string
	// allNamed is unset while the name of an entry is not known.
	allNamed bool
}

// next are the rules of a configuration that was read after these. An integration
// whose entry has errors keeps the rules that it had. Where it had none, it is
// answered 401: a policy that is made of what could be read is one that nobody
// wrote.
func (r rules) next(s config.Settings) rules {
	n := rules{integrations: slices.Clone(s.Integrations), broken: map[string]string{}, allNamed: true}
	for _, name := range slices.Sorted(maps.Keys(s.Invalid)) {
		if name == "" {
			n.allNamed = false
			n.problems = append(n.problems, s.Invalid[name].Lines()...)
			continue
		}
		before, known := r.find(name)
		instead := "as before"
		if !known {
			before, instead = relay.Integration{Name: name, Invalid: true}, "401 to every call"
		}
		n.broken[name] = oneLine(unnamed(s.Invalid[name]))
		n.problems = append(n.problems, fmt.Sprintf("the integration %s has errors and answers %s: %s", name, instead, n.broken[name]))
		n.integrations = append(n.integrations, before)
	}
	if !n.allNamed {
		n.keepAbsent(r)
	}
	return n
}

// unnamed are problems without what they concern, where that is said before them.
func unnamed(problems config.Problems) config.Problems {
	problems = slices.Clone(problems)
	for i := range problems {
		problems[i].Of = ""
	}
	return problems
}

// keepAbsent keeps the integrations that are not in the file any more, since the
// entry whose name is not known may be any of them.
func (n *rules) keepAbsent(before rules) {
	for _, i := range before.integrations {
		if i.Invalid || slices.Contains(n.names(), i.Name) {
			continue
		}
		n.integrations = append(n.integrations, i)
		n.problems = append(n.problems, fmt.Sprintf("the integration %s is not found in the file, and answers as before as long as the name of an entry is not known", i.Name))
	}
}

// find returns the rules of an integration, if it has any.
func (r rules) find(name string) (relay.Integration, bool) {
	for _, i := range r.integrations {
		if i.Name == name && !i.Invalid {
			return i, true
		}
	}
	return relay.Integration{}, false
}

func (r rules) names() (names []string) {
	for _, i := range r.integrations {
		names = append(names, i.Name)
	}
	return names
}
