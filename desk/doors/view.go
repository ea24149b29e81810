package doors

import (
	"cmp"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// View is what is known at one time.
type View struct {
	Now time.Time
	// Doors are those of the sites that were asked for, the worst first.
	Doors []Door
	// Missing are the sources that cannot be read.
	Missing []Gap
	// Relays are those that answered last, in the order of their ids.
	Relays []Relay
	// Omitted is set where there are more integrations than are followed.
	Omitted bool
}

// Gap is a source that cannot be read.
type Gap struct {
	Source Source
	Since  time.Time
	Why    string
	// Partly is set where what was read is true, and something may be missing.
	Partly bool
}

// Relay is one that answered.
type Relay struct {
	ID, Version, State string
	Started            time.Time
	Spooled            int
	SpoolFull          float64
	OrdersKnown        bool
	// Impaired is what a person must mend, or empty. Who may not see every site of the
	// relay learns only that there is something.
	Impaired string
}

// Door is one integration.
type Door struct {
	Site, Integration, Name string
	Finding
	// Others are what else holds, the worst first.
	Others []Finding
	Zone   *time.Location
	Test   bool

	LastRequest, LastCheckIn, LastCheckOut time.Time
	// Took are the answer times of a day, and TookHours those of its hours.
	Took      Took
	TookHours [24]Took
	// Requests and CheckIns are those of each of the last 24 hours, the last one last.
	Requests, CheckIns [24]int
	Deciders           []Decider
	// Relays counts those that answer for it, and Spooled is what waits in them, for
	// whatever integration.
	Relays, Spooled int
	// Drifting are the fields that are missing from what Sine sends.
	Drifting []string
	// ByFallback says how many of the last check-in requests a fallback answered, and why,
	// where that makes no state of the door; or is empty.
	ByFallback string
	// Contradictions are the visitors of a day who were rejected and then checked in here,
	// the last one last.
	Contradictions []Contradiction
	// Unconfirmed is set where no test visit has shown that Sine obeys rejections.
	Unconfirmed bool
}

// LastContradiction is the last of [Door.Contradictions], or nil.
func (d Door) LastContradiction() *Contradiction {
	if len(d.Contradictions) == 0 {
		return nil
	}
	return &d.Contradictions[len(d.Contradictions)-1]
}

// Entry is whether visitors can get in, by all that holds of the door.
func (d Door) Entry() Entry {
	worst := d.State.entry()
	for _, f := range d.Others {
		worst = max(worst, f.State.entry())
	}
	return worst
}

// Took is how long answers took, right within a tenth; 0 where there were none.
type Took struct{ Median, P95 time.Duration }

// Decider is one of a door's, with the programs that answer for it.
type Decider struct {
	Name     string
	Programs int
	// Decided is when it last decided for this door, as far as the last day says.
	Decided time.Time
}

// View returns what is known of the sites for which the function returns true.
func (m *Model) View(may func(site string) bool) View {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	v := View{Now: now, Missing: m.gaps(now), Omitted: m.omitted > 0}
	contradictions := m.visits.byDoor(now)
	for _, d := range m.doors {
		if may(d.site) {
			door := m.view(d, v.Missing, now, may)
			door.Contradictions = contradictions[d.place]
			v.Doors = append(v.Doors, door)
		}
	}
	slices.SortFunc(v.Doors, func(a, b Door) int {
		return cmp.Or(cmp.Compare(a.State.rank(), b.State.rank()), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Integration, b.Integration))
	})
	for _, r := range m.relays {
		if r.SiteCount <= len(r.Sites) && !slices.ContainsFunc(r.Sites, may) {
			continue
		}
		v.Relays = append(v.Relays, Relay{r.ID, r.Version, r.State, r.Started, r.Spooled, r.SpoolFull, r.OrdersKnown, impairedText(r, may)})
	}
	return v
}

// Gaps are the sources that cannot be read.
func (m *Model) Gaps() []Gap {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gaps(m.now())
}

// gaps are the sources that cannot be read. Where NATS cannot be reached, that is why
// none of the others can.
func (m *Model) gaps(now time.Time) (all []Gap) {
	for _, s := range Sources {
		polled := s != History && s != Following
		switch at := m.sources[s].at(now, polled); {
		case !at.known:
			all = append(all, Gap{Source: s, Since: at.since, Why: at.why})
		case at.partly != "":
			all = append(all, Gap{Source: s, Since: at.checked, Why: at.partly, Partly: true})
		}
		if s == NATS && len(all) > 0 && !m.sources[NATS].checked.IsZero() {
			return all
		}
	}
	return all
}

func (m *Model) view(d *door, gaps []Gap, now time.Time, may func(site string) bool) Door {
	v := Door{
		Site: d.site, Integration: d.integration, Name: cmp.Or(d.name, d.integration), Zone: d.location, Test: d.test,
		LastRequest: d.lastRequest, LastCheckIn: d.lastCheckIn, LastCheckOut: d.lastCheckOut, Drifting: d.drifting, Unconfirmed: d.unconfirmed,
	}
	v.Took, v.TookHours = d.times(now)
	v.Requests, v.CheckIns = d.hours(now)
	for _, name := range d.deciders {
		v.Deciders = append(v.Deciders, Decider{name, m.programs.answering(d.site, name), d.decided[name]})
	}
	for _, i := range d.relays {
		v.Relays++
		v.Spooled += m.relays[i].Spooled
	}
	all := m.findings(d, now, may)
	gaps = slices.DeleteFunc(slices.Clone(gaps), func(g Gap) bool { return g.Partly })
	if len(gaps) > 0 && !stillKnown(all[0].State, gaps) {
		all = m.unknown(d, gaps, now, may)
	}
	v.Finding, v.Others = all[0], all[1:]
	if !slices.ContainsFunc(all, func(f Finding) bool { return f.State == OnFallback || f.State == Unknown }) {
		v.ByFallback = d.byFallback(now)
	}
	return v
}

// stillKnown reports whether a state that keeps visitors out, or lets them in unchecked,
// is known although something else is not. Every other state could be a worse one.
func stillKnown(s State, gaps []Gap) bool {
	rests := map[State]Source{LockedDown: Orders, OnFallback: Following}
	on, kept := rests[s]
	return kept && !slices.ContainsFunc(gaps, func(g Gap) bool { return g.Source == NATS || g.Source == on })
}

// unknown says since when a door is unknown, and what it was.
func (m *Model) unknown(d *door, gaps []Gap, now time.Time, may func(site string) bool) []Finding {
	first := gaps[0]
	for _, g := range gaps {
		if g.Since.Before(first.Since) {
			first = g
		}
	}
	text := "Unknown since " + Clock(first.Since, now, d.location) + ": "
	for i, g := range gaps {
		if i > 0 {
			text += "; "
		}
		if g.Source != NATS {
			text += g.Source.String() + ": "
		}
		text += g.Why
	}
	text += "."
	if m.sources[first.Source].ever {
		text += " Before: " + m.findings(d, first.Since, may)[0].Text
	}
	return []Finding{{Unknown, text, first.Since}}
}

// Sites are the sites that are known, with their time zones, in order.
func (m *Model) Sites() []Site {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.knownSites())
}

// Zone is the time zone of a site, or UTC where the site is not known.
func (m *Model) Zone(site string) *time.Location {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.knownSites()
	i, known := slices.BinarySearchFunc(all, site, func(s Site, name string) int { return cmp.Compare(s.Name, name) })
	if !known {
		return time.UTC
	}
	return all[i].Zone
}

func (m *Model) knownSites() []Site {
	if m.sites != nil {
		return m.sites
	}
	all := map[string]Site{}
	for _, d := range m.doors {
		if old, known := all[d.site]; !known || old.Zone == time.UTC {
			all[d.site] = Site{d.site, d.location}
		}
	}
	for name := range m.index.bySite {
		if _, known := all[name]; !known {
			all[name] = Site{name, time.UTC}
		}
	}
	m.sites = make([]Site, 0, len(all))
	for _, s := range all {
		m.sites = append(m.sites, s)
	}
	slices.SortFunc(m.sites, func(a, b Site) int { return cmp.Compare(a.Name, b.Name) })
	return m.sites
}

// Site is a place with its time zone.
type Site struct {
	Name string
	Zone *time.Location
}

// Relays returns those that answered last, without asking anybody. It waits for nobody
// either: a lockdown must not be late because of what somebody looks at.
func (m *Model) Relays() []visit.Relay {
	if last := m.answered.Load(); last != nil {
		return slices.Clone(*last)
	}
	return nil
}

// StandingOrders returns the orders that were read last, those that have ended included.
func (m *Model) StandingOrders() []visit.Order {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.stored)
}

// Settled reports whether each source was asked, whatever it said, and the last day is read
// where it can be: what a page says is as good as it gets.
func (m *Model) Settled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := func(s Source) bool { return !m.sources[s].checked.IsZero() && !m.sources[s].known }
	if out(NATS) {
		return true
	}
	return !slices.ContainsFunc(Sources, func(s Source) bool {
		return m.sources[s].checked.IsZero() && (s != History || !out(Following))
	})
}
