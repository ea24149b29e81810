//go:build linux && faults

package faults

import (
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// book is what a relay counted in one of its lives, read while nothing was in
// flight.
type book struct {
	relay, life int
	metrics     metrics
}

var results = []string{"stored", "duplicate", "spooled", "quarantined", "refused"}

// balanced reports whether everything that came in has an end in the ledger.
func (m metrics) balanced() bool {
	sum := 0
	for _, result := range results {
		sum += m.settled(result)
	}
	return sum == m.received() && m.spool("recovered_total")+m.spool("spooled_total") ==
		m.spool("forwarded_total")+m.spool("quarantined_total")+m.spool("messages")
}

// judge compares a ledger with itself and with the responses that the senders got.
func (b book) judge(v *verdict, calls []*call) {
	m := b.metrics
	if !m.balanced() {
		v.fault(&v.ledger, "relay %d in life %d: %d received; %v settled; spool: %d recovered, %d spooled, %d drained, %d set aside, %d wait",
			b.relay, b.life, m.received(), m.bySettlement(), m.spool("recovered_total"), m.spool("spooled_total"),
			m.spool("forwarded_total"), m.spool("quarantined_total"), m.spool("messages"))
	}
	t := b.tell(calls)
	check := func(what string, answers, counted int) {
		// A call that brought no answer may be counted as anything.
		if counted < answers || counted > answers+t.unknown {
			v.fault(&v.ledger, "relay %d in life %d: %d answers and %d without any, but the ledger says %d %s", b.relay, b.life, answers, t.unknown, counted, what)
		}
	}
	check("events kept", t.events, m.settled("stored")+m.settled("duplicate")+m.settled("spooled"))
	check("quarantined", t.unreadable, m.settled("quarantined"))
	check("refused", t.refused, m.settled("refused"))
}

func (m metrics) bySettlement() map[string]int {
	all := map[string]int{}
	for _, result := range results {
		all[result] = m.settled(result)
	}
	return all
}

// tally counts the responses to the calls of one life.
type tally struct{ events, unreadable, refused, unknown int }

func (b book) tell(calls []*call) tally {
	var t tally
	for _, c := range calls {
		switch {
		case c.relay != b.relay || c.life != b.life:
		case c.err != nil:
			t.unknown++
		case c.refused():
			t.refused++
		case c.kept() && c.isEvent():
			t.events++
		case c.kept(), c.cutOff():
			t.unreadable++
		}
	}
	return t
}

// history is what is known of one visit.
type history struct {
	relays   map[int]bool
	checkIn  string // the event's id, once it was said to be kept
	keptBy   time.Time
	checkOut string // likewise
	begun    time.Time
}

// judgeOrder holds visits to their order: whose check-in was answered before the
// check-out was sent to the same relay must have checked in first in the stream.
// Across relays there is no order, and none for what may have been destroyed.
func (e *evidence) judgeOrder(v *verdict, events map[string][]message) {
	destroyed := e.destroyed()
	for key, h := range e.histories() {
		in, out := events[h.checkIn], events[h.checkOut]
		if len(h.relays) != 1 || len(in) == 0 || len(out) == 0 || destroyed[h.checkIn] || !h.keptBy.Before(h.begun) {
			continue
		}
		if in[0].sequence > out[0].sequence {
			v.fault(&v.inverted, "inverted: visit %s checks out at %d and in at %d", key, out[0].sequence, in[0].sequence)
		}
	}
}

// destroyed are the ids that a fault may have taken from the stream: what of
// them is there now may have come again.
func (e *evidence) destroyed() map[string]bool {
	ids := map[string]bool{}
	for _, x := range e.excused {
		for _, id := range x.ids {
			ids[id] = true
		}
		for _, c := range e.calls {
			ids[c.id] = ids[c.id] || x.meanwhile(c)
		}
	}
	return ids
}

func (e *evidence) histories() map[string]*history {
	all := map[string]*history{}
	for _, c := range e.calls {
		if c.visit == "" {
			continue
		}
		h := all[c.visit]
		if h == nil {
			h = &history{relays: map[int]bool{}}
			all[c.visit] = h
		}
		h.enter(c)
	}
	return all
}

// enter takes in a call. Those that brought no answer count too: they may have
// stored something, by whichever relay.
func (h *history) enter(c *call) {
	h.relays[c.relay] = true
	if c.kind == visit.KindCheckedOut && (h.begun.IsZero() || c.start.Before(h.begun)) {
		h.begun = c.start
	}
	switch {
	case !c.kept():
	case c.kind == visit.KindCheckedOut:
		h.checkOut = c.id
	case h.keptBy.IsZero() || c.end.Before(h.keptBy):
		h.checkIn, h.keptBy = c.id, c.end
	}
}
