// Package doors knows whether visitors can get in right now: for each integration the
// state of its door, and why.
//
// It is a model in memory, fed with what the relays and NATS say, and asked for a [View]
// by the pages. A state is as old as what it rests on: while a source is out of reach, a
// door is unknown, and the view says since when and what it was before. Its memory is
// bounded by [MaxDoors], whatever it is fed with, and contains nothing personal.
package doors

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// MaxDoors is how many integrations are followed; others are counted only.
	MaxDoors = 4096
	// maxSeen bounds the subjects of deciders and the time zones that are remembered.
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
	orders    []visit.Order
	sources   [sourceCount]source
	programs  register        // what answers now
	services  map[string]bool // subjects for which a NATS micro service answered once
	zones     map[string]*time.Location
	siteZones map[string]string
}

// place is where a door is.
type place struct{ site, integration string }

// New returns a model that knows nothing yet. Subjects are those of the installation, and
// now is the clock.
func New(subjects visit.Subjects, now func() time.Time) *Model {
	m := &Model{
		now: now, subjects: subjects, doors: map[place]*door{},
		services: map[string]bool{}, zones: map[string]*time.Location{}, siteZones: map[string]string{},
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
	if e.TimeZone != "" {
		d.zone = e.TimeZone
		m.noteZone(d)
	}
	d.event(e, m.now())
}

// Forget drops what was recorded, because it is going to be read again.
func (m *Model) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.doors {
		d.slots, d.recent, d.decided = [slotCount]slot{}, nil, nil
		d.lastRequest, d.lastCheckIn, d.lastCheckOut = time.Time{}, time.Time{}, time.Time{}
	}
}

// Discovered notes which relays and deciders answer. An error beside some that were found
// says that others may be there as well.
func (m *Model) Discovered(relays []visit.Relay, relaysErr error, deciders []visit.Decider, decidersErr error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	relaysErr = m.sources[Relays].partial(relaysErr, len(relays), now)
	decidersErr = m.sources[Deciders].partial(decidersErr, len(deciders), now)
	if relaysErr == nil {
		m.relays = relays
		m.sight(now)
	}
	if decidersErr != nil {
		return
	}
	m.programs = newRegister(deciders)
	for _, d := range deciders {
		for _, subject := range d.Subjects {
			if len(m.services) < maxSeen {
				m.services[subject] = true
			}
		}
	}
}

// sight notes which relays have which doors.
func (m *Model) sight(now time.Time) {
	for at, d := range m.doors {
		if d.gone(now) {
			delete(m.doors, at)
		}
		d.relays, d.drifting, d.invalid, d.unconfirmed = d.relays[:0], nil, false, false
		maps.DeleteFunc(d.had, func(_ string, at time.Time) bool { return now.Sub(at) > missingFor })
	}
	for _, r := range m.relays {
		all, complete := integrationsOf(r)
		for _, in := range all {
			if d := m.door(in.Site, in.Name); d != nil {
				d.describe(in)
				d.sight(r.ID, now)
				m.noteZone(d)
			}
		}
		for _, d := range m.doors {
			if !complete && concerns(r, d.site) {
				d.sight(r.ID, now)
			}
		}
	}
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
	if s.known {
		m.orders = slices.Clone(orders)
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
	at := place{site, integration}
	if d := m.doors[at]; d != nil {
		return d
	}
	if !visit.ValidName(site) || !visit.ValidName(integration) {
		return nil
	}
	if len(m.doors) >= MaxDoors {
		m.omitted++
		return nil
	}
	d := &door{place: at, zone: m.siteZones[site]}
	m.doors[at] = d
	for _, r := range m.relays {
		if _, complete := integrationsOf(r); !complete && concerns(r, site) {
			d.sight(r.ID, m.sources[Relays].checked)
		}
	}
	return d
}

// noteZone remembers the zone of a site for other doors of it.
func (m *Model) noteZone(d *door) {
	if len(m.siteZones) < maxSeen {
		m.siteZones[d.site] = d.zone
	}
}

// location is the one of that name, or UTC.
func (m *Model) location(name string) *time.Location {
	if name == "" {
		return time.UTC
	}
	if l := m.zones[name]; l != nil {
		return l
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		l = time.UTC
	}
	if len(m.zones) < maxSeen {
		m.zones[name] = l
	}
	return l
}
