package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// ahead is how many entries one reading holds to put them in order.
	ahead = 1000
	// clockSkew is by how much the relay's clock may be ahead of NATS' clock, and
	// spoolDelay how long an event may have waited in a spool.
	clockSkew  = time.Minute
	spoolDelay = 24 * time.Hour
	// remembered are the ids of so many messages of each kind: what NATS lost, a relay
	// stores again.
	remembered = 10_000
)

var events = []visit.Kind{visit.KindCheckedIn, visit.KindCheckedOut}

// Records calls fn for each record of a check-in request that was received from from on
// and before to, oldest first, until fn returns an error, which it returns. Site and
// result are one or all where empty. A zero to is now. What waited in a spool for more
// than a day is found only where to is later than that, too.
func (d *Desk) Records(ctx context.Context, site, result string, from, to time.Time, fn func(visit.Record) error) error {
	if result != "" && result != visit.ResultAccepted && result != visit.ResultRejected {
		return fmt.Errorf("read records: there is no result %q", result)
	}
	f := admin.HistoryFilter{Site: site, Kinds: []visit.Kind{visit.KindCheckInRequest}, Result: result, Since: from, Until: to}
	return d.each(ctx, f, func(e admin.HistoryEntry) error { return fn(*e.Record) })
}

// Events is the same for events, which come without form answers and without source.
func (d *Desk) Events(ctx context.Context, site string, from, to time.Time, fn func(visit.Event) error) error {
	f := admin.HistoryFilter{Site: site, Kinds: events, Since: from, Until: to}
	return d.each(ctx, f, func(e admin.HistoryEntry) error { return fn(*e.Event) })
}

// each calls fn for what can be read of a history.
func (d *Desk) each(ctx context.Context, f admin.HistoryFilter, fn func(admin.HistoryEntry) error) error {
	if err := checkSite(f.Site); err != nil {
		return fmt.Errorf("read what happened: %w", err)
	}
	f.Ahead = ahead
	return d.views.History().Each(ctx, f, func(e admin.HistoryEntry) error {
		if fault := d.fault(e); fault != nil {
			d.passOver(e.Stream, fault)
			return nil
		}
		return fn(e)
	})
}

// fault is why an entry must not be shown, or nil: a relay did not write it. One whose
// body names another site than its subject would be seen by those who may see that site.
func (d *Desk) fault(e admin.HistoryEntry) error {
	subjects, right := d.cfg.Streams.Subjects, ""
	switch r, v := e.Record, e.Event; {
	case e.Fault != nil:
		return e.Fault
	case r != nil && r.RequestID != "":
		right = subjects.Decision(r.Site, r.Result())
	case v != nil && v.ID != "" && v.Kind.IsEvent():
		right = subjects.Event(v.Site, v.Kind)
	}
	if right != e.Subject {
		return fmt.Errorf("a message of stream %s is not what belongs on its subject", e.Stream)
	}
	return nil
}

// errFound ends a reading.
var errFound = errors.New("found")

// Event returns one event with all that is stored of it. Received is when the relay
// received it. The error wraps visit.ErrNotFound where it is not there.
func (d *Desk) Event(ctx context.Context, site, id string, received time.Time) (visit.Event, error) {
	if err := checkSite(site); err != nil || site == "" {
		return visit.Event{}, fmt.Errorf("read event: %w", errSite)
	}
	var found visit.Event
	stream, views := d.cfg.Streams.Events.Name, d.views.Events()
	from, until := received.Add(-clockSkew), received.Add(spoolDelay)
	err := d.views.Scan(ctx, stream, d.cfg.Streams.Subjects.Event(site, "*"), from, func(m *jetstream.RawStreamMsg) error {
		switch {
		case m.Time.After(until):
			return errFound
		case m.Header.Get(visit.HeaderID) != id:
			return nil
		}
		e := views.Parse(m)
		if e.Fault != nil {
			d.passOver(stream, e.Fault)
			return nil
		}
		if e.Event.ID == id {
			found = *e.Event
			return errFound
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errFound):
		return visit.Event{}, err
	case found.ID == "":
		return visit.Event{}, fmt.Errorf("event in stream %s: %w", stream, visit.ErrNotFound)
	default:
		return found, nil
	}
}

// Follow calls record and event for what is stored from now on, each once, as long as ctx
// lasts, and then returns nil. It calls state with nil when it has begun to read, with
// what keeps it from reading, and with nil when it reads again. What is stored after it
// first called state with nil is not missed. None of the three is called concurrently
// with another.
func (d *Desk) Follow(ctx context.Context, record func(visit.Record), event func(visit.Event), state func(error)) error {
	records, all := newRecent(remembered), newRecent(remembered)
	return d.views.History().Watch(ctx, admin.HistoryFilter{}, func(e admin.HistoryEntry) error {
		fault := d.fault(e)
		switch {
		case fault != nil:
			d.passOver(e.Stream, fault)
		case e.Record != nil && records.add(e.Record.RequestID):
			record(*e.Record)
		case e.Event != nil && all.add(e.Event.ID):
			event(*e.Event)
		}
		return nil
	}, state)
}

// recent are the last ids of a sequence.
type recent struct {
	known map[string]bool
	ring  []string
	next  int
}

func newRecent(n int) *recent {
	return &recent{known: make(map[string]bool, n), ring: make([]string, n)}
}

// add reports whether an id is new.
func (r *recent) add(id string) bool {
	if r.known[id] {
		return false
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next], r.known[id] = id, true
	r.next = (r.next + 1) % len(r.ring)
	return true
}

// orNow is the end of a window.
func orNow(to time.Time) time.Time { return cmp.Or(to, time.Now()) }
