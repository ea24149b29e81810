package doors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// obeyWithin is how long an order may take.
	obeyWithin = 5 * time.Second
	// startedBefore is how long a relay may run beside the one that it replaces.
	startedBefore = 2 * time.Minute
	// spoolFull is how full a spool is when that is said.
	spoolFull = 0.8
)

// integrationsOf are those that a relay names. Complete is unset where it has others, or is
// of a version that names none.
func integrationsOf(r visit.Relay) (all []visit.RelayIntegration, complete bool) {
	return r.Integrations, len(r.Integrations) > 0 && len(r.Integrations) >= r.IntegrationCount
}

// describe takes over what a relay says. The first relay of an answer begins anew.
func (d *door) describe(in visit.RelayIntegration) {
	if len(d.relays) == 0 {
		d.deciders = nil
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

// gone reports whether no relay has had the door for long, and nothing was heard of it
// for a day: it was taken away on purpose.
func (d *door) gone(now time.Time) bool {
	last := d.last()
	return len(d.relays) == 0 && len(d.had) == 0 && (last.IsZero() || now.Sub(last) > day)
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

func (d *door) withoutRelay() (Finding, bool) {
	return Finding{State: NoRelay, Text: "No relay answers for it."}, len(d.relays) == 0
}

// missingRelay holds where fewer relays answer than did, and no others were started.
func (m *Model) missingRelay(d *door, clock func(time.Time) string) (Finding, bool) {
	type sighting struct {
		id string
		at time.Time
	}
	var gone []sighting
	for id, at := range d.had {
		if !slices.Contains(d.relays, id) {
			gone = append(gone, sighting{id, at})
		}
	}
	if len(gone) == 0 || len(d.relays) == 0 {
		return Finding{}, false
	}
	slices.SortFunc(gone, func(a, b sighting) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	for _, r := range m.relays {
		if len(gone) > 0 && slices.Contains(d.relays, r.ID) && r.Started.After(gone[0].at.Add(-startedBefore)) {
			gone = gone[1:] // it was started in that one's place
		}
	}
	if len(gone) == 0 {
		return Finding{}, false
	}
	return Finding{RelayMissing, fmt.Sprintf("%d of %s answer. Relay %s has not answered since %s.",
		len(d.relays), plural(len(d.relays)+len(gone), "relay"), gone[0].id, clock(gone[0].at)), gone[0].at}, true
}

// impaired holds where a relay says that somebody must mend something.
func (m *Model) impaired(d *door, may func(site string) bool) (Finding, bool) {
	for _, r := range m.relays {
		if !slices.Contains(d.relays, r.ID) {
			continue
		}
		switch {
		case r.Impaired != "":
			return Finding{State: Impaired, Text: "Relay " + r.ID + ": " + strings.TrimSuffix(impairedText(r, may), ".") + "."}, true
		case r.SpoolFull >= spoolFull:
			return Finding{State: Impaired, Text: fmt.Sprintf("The spool of relay %s is full to %.0f %%. When it is full, events are refused.", r.ID, r.SpoolFull*100)}, true
		}
	}
	return Finding{}, false
}

// impairedText is what a relay says of itself. It may name any of its sites, also one that
// it does not list.
func impairedText(r visit.Relay, may func(site string) bool) string {
	all := r.SiteCount <= len(r.Sites) && !slices.ContainsFunc(r.Sites, func(site string) bool { return !may(site) })
	if r.Impaired == "" || may(visit.AllSites) || all {
		return visit.CleanText(r.Impaired)
	}
	return "it is impaired, and a person must mend something of it. Ask somebody who may see every site what it is"
}

func (m *Model) notObeyed(d *door, now time.Time, clock func(time.Time) string) (Finding, bool) {
	asked := m.sources[Relays].checked
	for _, r := range m.relays {
		if !concerns(r, d.site) {
			continue
		}
		if !r.OrdersKnown {
			return Finding{State: NotObeyed, Text: "Relay " + r.ID + " does not know the standing orders. It lets nobody in by a fallback."}, true
		}
		for _, o := range m.orders {
			due := o.InForce(now) && concernsSite(o.Site, d.site) && asked.Sub(o.Since) > obeyWithin
			if due && !Obeys(r, o.Identity()) {
				return Finding{NotObeyed, fmt.Sprintf("Relay %s does not obey the %s given %s.", r.ID, o.Kind, clock(o.Since)), o.Since}, true
			}
		}
	}
	return Finding{}, false
}

// Obeys reports whether a relay obeys an order.
func Obeys(r visit.Relay, id string) bool {
	return slices.ContainsFunc(r.Orders, func(o visit.RelayOrder) bool { return o.ID == id })
}

// concerns reports whether a relay has a site, or may have it.
func concerns(r visit.Relay, site string) bool {
	return r.SiteCount > len(r.Sites) || slices.Contains(r.Sites, site)
}
