// Package doors knows whether visitors can get in right now: for each integration the
// state of its door, and why.
//
// It is a model in memory, fed with what the relays and NATS say, and asked for a [View]
// by the pages. A state is as old as what it rests on: while a source is out of reach, a
// door is unknown, and the view says since when and what it was before. Its memory is
// bounded by [MaxDoors], whatever it is fed with, and contains nothing personal.
package doors

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// MaxDoors is how many integrations are followed; others are counted only.
	MaxDoors = 4096
	// maxSeen bounds what is remembered of deciders and of time zones.
	maxSeen = 8192
	// missingFor is how long a relay that answers no more is missed. After that it was
	// taken away on purpose.
	missingFor = time.Hour
	// stale is the age at which the answer to a question that is asked every few seconds
	// is not known any more.
	stale = 30 * time.Second
)

// Model is safe for concurrent use.
type Model struct {
	now      func() time.Time
	subjects visit.Subjects

	mu      sync.Mutex
	doors   map[place]*door
	omitted int // integrations beyond MaxDoors, as often as they were named

	relays    []visit.Relay
	index     *index // of relays
	orders    map[string][]standing
	sources   [sourceCount]source
	stored    []visit.Order // all orders, as they were read
	programs  register      // what answers now
	services  register      // that for which a NATS micro service answered once
	zones     map[string]*time.Location
	unzoned   map[string]bool // names that are of no zone
	siteZones map[string]string
	visits    visits
	sites     []Site // nil when it is not known any more

	// answered are the relays for those who must not wait for mu.
	answered atomic.Pointer[[]visit.Relay]
}

// place is where a door is.
type place struct{ site, integration string }

// standing is an order with its identity.
type standing struct {
	visit.Order
	id string
}

// New returns a model that knows nothing yet. Subjects are those of the installation, and
// now is the clock.
func New(subjects visit.Subjects, now func() time.Time) *Model {
	m := &Model{
		now: now, subjects: subjects, doors: map[place]*door{},
		index: newIndex(nil), services: register{}, zones: map[string]*time.Location{}, unzoned: map[string]bool{}, siteZones: map[string]string{}, visits: newVisits(),
	}
	for i := range m.sources {
		m.sources[i] = source{since: now(), why: notYet[i]}
	}
	return m
}

// Record notes how a check-in request was answered. Records may come in any order, each
// once; those older than a day change nothing.
func (m *Model) Record(r *visit.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.door(r.Site, r.Integration); d != nil && !r.Synthetic {
		d.record(r, m.now())
		m.visits.record(r)
	}
}

// Event notes that a visitor came or went, likewise. A correction is no visitor.
func (m *Model) Event(e *visit.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.door(e.Site, e.Integration)
	if d == nil || e.Synthetic || e.IsCorrection() {
		return
	}
	m.setZone(d, e.TimeZone)
	d.event(e, m.now())
	m.visits.event(e)
}

// Forget drops what was recorded, because it is going to be read again.
func (m *Model) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.visits = newVisits()
	for _, d := range m.doors {
		d.slots, d.recent, d.decided = [slotCount]slot{}, nil, nil
		d.lastRequest, d.lastCheckIn, d.lastCheckOut = time.Time{}, time.Time{}, time.Time{}
	}
}

// Discovered notes which relays and deciders answer. An error beside some that were found
// says that others may be there as well.
func (m *Model) Discovered(relays []visit.Relay, relaysErr error, deciders []visit.Decider, decidersErr error) {
	programs, omitted := newRegister(m.subjects, deciders)
	if omitted != nil {
		decidersErr = errors.Join(decidersErr, omitted)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	relaysErr = m.sources[Relays].partial(relaysErr, len(relays), now)
	decidersErr = m.sources[Deciders].partial(decidersErr, len(deciders), now)
	if relaysErr == nil {
		m.answered.Store(&relays)
		m.relays = bounded(relays)
		m.index = newIndex(m.relays)
		m.sight(now)
		if s := &m.sources[Relays]; m.index.omitted && s.partly == "" {
			s.partly = Why(errRelaysOmitted)
		}
	}
	if decidersErr != nil {
		return
	}
	m.programs = programs
	for at := range programs {
		if m.services[at] > 0 || len(m.services) < maxSeen {
			m.services[at] = 1
		}
	}
}

// sight notes which relays have which doors.
func (m *Model) sight(now time.Time) {
	m.sites = nil
	for at, d := range m.doors {
		if d.gone(now) {
			delete(m.doors, at)
		}
		d.relays, d.drifting, d.invalid, d.unconfirmed = d.relays[:0], nil, false, false
		maps.DeleteFunc(d.had, func(_ string, at time.Time) bool { return now.Sub(at) > missingFor })
	}
	for i, r := range m.relays {
		for _, in := range r.Integrations {
			at := place{in.Site, in.Name}
			d := m.doors[at]
			if d == nil {
				d = m.newDoor(at)
			}
			if d != nil {
				m.describe(d, in)
				m.see(d, i, now)
			}
		}
	}
	for _, d := range m.doors {
		m.seeUnnamed(d, now)
	}
}

// see notes that a relay, which is the last one that was noted or comes after it, has a
// door.
func (m *Model) see(d *door, i int, now time.Time) {
	if d.relays = m.index.add(d.relays, i); d.relays[len(d.relays)-1] == i {
		d.saw(m.relays[i].ID, now)
	}
}

// seeUnnamed notes the relays that do not name all of their integrations, and may have a
// door.
func (m *Model) seeUnnamed(d *door, now time.Time) {
	named := d.relays
	for _, i := range m.index.concerned(d.site) {
		if complete(m.relays[i]) || slices.Contains(named, i) {
			continue
		}
		if len(d.relays) == maxRelays {
			m.index.omitted = true
			break
		}
		d.relays = append(d.relays, i)
		d.saw(m.relays[i].ID, now)
	}
	slices.Sort(d.relays)
}

// Orders notes the standing orders. Beside visit.ErrInvalidOrder they are complete.
func (m *Model) Orders(orders []visit.Order, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.sources[Orders]
	if errors.Is(err, visit.ErrInvalidOrder) {
		s.set(nil, m.now())
		s.partly = Why(err)
	} else {
		s.set(err, m.now())
	}
	if !s.known {
		return
	}
	m.stored, m.orders = slices.Clone(orders), map[string][]standing{}
	for _, o := range orders {
		site := termOf(o.Kind, o.Site).site
		m.orders[site] = append(m.orders[site], standing{o, o.Identity()})
	}
}

// Note says of another source whether it can be read; nil is that it can.
func (m *Model) Note(s Source, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources[s].set(err, m.now())
}

// door returns the one of an integration, or nil where its name is none, as of whatever
// calls itself a relay, or there are too many.
func (m *Model) door(site, integration string) *door {
	if d := m.doors[place{site, integration}]; d != nil {
		return d
	}
	d := m.newDoor(place{site, integration})
	if d != nil {
		m.seeUnnamed(d, m.sources[Relays].checked)
	}
	return d
}

// newDoor is one that no relay has yet.
func (m *Model) newDoor(at place) *door {
	if !visit.ValidName(at.site) || !visit.ValidName(at.integration) {
		return nil
	}
	if len(m.doors) >= MaxDoors {
		m.omitted++
		return nil
	}
	d := &door{place: at, location: time.UTC}
	m.doors[at] = d
	m.sites = nil
	m.setZone(d, m.siteZones[at.site])
	return d
}

// setZone notes the zone of a door, and for other doors of its site.
func (m *Model) setZone(d *door, name string) {
	if name == "" || name == d.zone {
		return
	}
	d.zone, d.location, m.sites = name, m.locate(name), nil
	if m.siteZones[d.site] != "" || len(m.siteZones) < maxSeen {
		m.siteZones[d.site] = name
	}
}

// locate returns the location of that name, or UTC. To look for one that is not known
// reads files.
func (m *Model) locate(name string) *time.Location {
	if l := m.zones[name]; l != nil || m.unzoned[name] {
		return cmp.Or(l, time.UTC)
	}
	l, err := time.LoadLocation(name)
	if err == nil {
		m.zones[name] = l // there are some hundred
		return l
	}
	if len(m.unzoned) >= maxSeen {
		clear(m.unzoned)
	}
	m.unzoned[name] = true
	return time.UTC
}
