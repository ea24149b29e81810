package doors

import (
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// integrationsOf are those that a relay names. Complete is unset where it has others, or is
// of a version that names none.
func integrationsOf(r visit.Relay) (all []visit.RelayIntegration, complete bool) {
	return r.Integrations, len(r.Integrations) > 0 && len(r.Integrations) >= r.IntegrationCount
}

// describe takes over what a relay says. The first relay of an answer begins anew.
func (d *door) describe(in visit.RelayIntegration) {
	if len(d.relays) == 0 {
		d.drifting, d.deciders, d.invalid, d.unconfirmed = nil, nil, false, false
	}
	d.name, d.test = visit.CleanText(in.DisplayName), in.Test
	if in.TimeZone != "" {
		d.zone = in.TimeZone
	}
	d.invalid, d.unconfirmed = d.invalid || in.Invalid, d.unconfirmed || in.NotConfirmed
	d.received = later(d.received, in.LastReceived)
	d.deciders = union(d.deciders, in.Deciders)
	d.drifting = union(d.drifting, in.Drifting)
}

// sight notes that a relay has the door.
func (d *door) sight(relay string, now time.Time) {
	if slices.Contains(d.relays, relay) {
		return
	}
	d.relays = append(d.relays, relay)
	if d.had == nil {
		d.had = map[string]time.Time{}
	}
	if _, known := d.had[relay]; known || len(d.had) < maxRelays {
		d.had[relay] = now
	}
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) && len(a) < maxDeciders {
			a = append(a, s)
		}
	}
	return a
}

// register counts the programs that answer, by the subjects that they answer on.
type register struct {
	literal  map[string]int
	patterns []string // those with wildcards
}

func newRegister(deciders []visit.Decider) register {
	r := register{literal: map[string]int{}}
	for _, d := range deciders {
		for _, subject := range d.Subjects {
			if strings.ContainsAny(subject, "*>") {
				r.patterns = append(r.patterns, subject)
			} else {
				r.literal[subject]++
			}
		}
	}
	return r
}

func (r register) answering(subject string) int {
	count := r.literal[subject]
	for _, p := range r.patterns {
		if matches(p, subject) {
			count++
		}
	}
	return count
}

// matches reports whether a subject matches a pattern of NATS.
func matches(pattern, subject string) bool {
	if pattern == subject {
		return true
	}
	want, have := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">":
			return len(have) > i
		case i >= len(have) || token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
