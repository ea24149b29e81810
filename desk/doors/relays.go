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

// complete reports whether a relay names all of its integrations. It does not where it has
// too many, or is of a version that names none.
func complete(r visit.Relay) bool {
	return len(r.Integrations) > 0 && len(r.Integrations) >= r.IntegrationCount
}

// describe takes over what a relay says. The first relay of an answer begins anew.
func (m *Model) describe(d *door, in visit.RelayIntegration) {
	if len(d.relays) == 0 {
		d.deciders = nil
		m.setZone(d, in.TimeZone)
	}
	d.name, d.test = visit.CleanText(in.DisplayName), in.Test
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

// saw notes when a relay had the door, to miss it when it does not answer any more.
func (d *door) saw(relay string, now time.Time) {
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
		if !slices.ContainsFunc(d.relays, func(i int) bool { return m.relays[i].ID == id }) {
			gone = append(gone, sighting{id, at})
		}
	}
	if len(gone) == 0 || len(d.relays) == 0 {
		return Finding{}, false
	}
	slices.SortFunc(gone, func(a, b sighting) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	for _, i := range d.relays {
		if len(gone) > 0 && m.relays[i].Started.After(gone[0].at.Add(-startedBefore)) {
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
	for _, i := range d.relays {
		switch r := m.relays[i]; {
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
	all := func() bool {
		return r.SiteCount <= len(r.Sites) && !slices.ContainsFunc(r.Sites, func(site string) bool { return !may(site) })
	}
	if r.Impaired == "" || may(visit.AllSites) || all() {
		return visit.CleanText(r.Impaired)
	}
	return "it is impaired, and a person must mend something of it. Ask somebody who may see every site what it is"
}

func (m *Model) notObeyed(d *door, now time.Time, clock func(time.Time) string) (Finding, bool) {
	asked := m.sources[Relays].checked
	for _, i := range m.index.concerned(d.site) {
		r := m.relays[i]
		if !r.OrdersKnown {
			return Finding{State: NotObeyed, Text: "Relay " + r.ID + " does not know the standing orders. It lets nobody in by a fallback."}, true
		}
		for _, o := range m.ordersFor(d.site) {
			due := o.InForce(now) && asked.Sub(o.Since) > obeyWithin
			if due && !m.index.obeyed[i][o.id] {
				return Finding{NotObeyed, fmt.Sprintf("Relay %s does not obey the %s given %s.", r.ID, o.Kind, clock(o.Since)), o.Since}, true
			}
		}
	}
	return Finding{}, false
}

// ordersFor are the orders that concern a site: those of all sites first, and then its own.
func (m *Model) ordersFor(site string) []standing {
	everywhere, own := m.orders[visit.AllSites], m.orders[site]
	if len(own) == 0 {
		return everywhere
	}
	return slices.Concat(everywhere, own)
}
