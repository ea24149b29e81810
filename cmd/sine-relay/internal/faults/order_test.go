//go:build linux && faults

package faults

import (
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

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
