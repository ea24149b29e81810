package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

var kinds = []string{string(visit.KindCheckInRequest), string(visit.KindCheckedIn), string(visit.KindCheckedOut)}

func (p place) kind(field, name string) visit.Kind {
	if !slices.Contains(kinds, name) {
		p.add(field, "%q is not an event%s; known are %s", name, DidYouMean(name, kinds), strings.Join(kinds, ", "))
	}
	return visit.Kind(name)
}

// events keeps an empty list apart from none: it undoes a default.
func (p place) events(names []string) []visit.Kind {
	if names == nil {
		return nil
	}
	all := make([]visit.Kind, len(names))
	for i, name := range names {
		all[i] = p.kind(fmt.Sprintf("events[%d]", i), name)
	}
	return all
}

// eventNames returns kinds by spelling. Two entries of one spelling would win in
// turns.
func (p place) eventNames(names map[string]string) map[string]visit.Kind {
	all := map[string]visit.Kind{}
	for _, name := range sortedKeys(names) {
		field, key := "eventNames."+name, relay.Spelling(name)
		kind := p.kind(field, names[name])
		if other, twice := all[key]; twice && other != kind {
			p.add(field, "is another spelling of an event that is %s already", other)
		}
		if key == "" {
			p.add(field, "holds neither a letter nor a digit")
		}
		all[key] = kind
	}
	return all
}
