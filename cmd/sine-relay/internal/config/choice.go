package config

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// choices are options that were understood. What is zero was not chosen.
type choices struct {
	allowFrom      []netip.Prefix
	deciders       []relay.Decider
	combination    policy.Combination
	zone           *time.Location
	budget         time.Duration
	say            relay.Say
	confirmed      *bool
	events         []visit.Kind
	eventNames     map[string]visit.Kind
	identifiedBy   []relay.Identifier
	rejectText     string
	fallbacks      map[policy.Situation]policy.Fallback
	accept, reject *relay.Template
}

// or returns the choices, with defaults where nothing was chosen. Fallbacks and
// event names are taken one by one.
func (c choices) or(d choices) choices {
	return choices{
		allowFrom: orElseList(c.allowFrom, d.allowFrom),
		deciders:  orElseList(c.deciders, d.deciders), combination: cmp.Or(c.combination, d.combination),
		zone:         cmp.Or(c.zone, d.zone),
		budget:       cmp.Or(c.budget, d.budget),
		say:          cmp.Or(c.say, d.say),
		confirmed:    cmp.Or(c.confirmed, d.confirmed),
		events:       orElseList(c.events, d.events),
		eventNames:   overlay(d.eventNames, c.eventNames, func(_, own visit.Kind) visit.Kind { return own }),
		identifiedBy: orElseList(c.identifiedBy, d.identifiedBy),
		rejectText:   cmp.Or(c.rejectText, d.rejectText),
		fallbacks:    overlay(d.fallbacks, c.fallbacks, orFallback),
		accept:       cmp.Or(c.accept, d.accept),
		reject:       cmp.Or(c.reject, d.reject),
	}
}

// orFallback: a fallback that names its answer stands alone, since the texts of
// another answer would not fit. One that only rewords keeps the answer: it must
// not turn an accept into a reject.
func orFallback(inherited, own policy.Fallback) policy.Fallback {
	if own.Verdict != "" {
		return own
	}
	return policy.Fallback{
		Verdict:     inherited.Verdict,
		VisitorText: cmp.Or(own.VisitorText, inherited.VisitorText),
		AdminNote:   cmp.Or(own.AdminNote, inherited.AdminNote),
	}
}

func orElseList[T any](own, inherited []T) []T {
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
