//go:build linux && faults

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// evidence is all that is held together once every fault has been mended.
type evidence struct {
	calls      []*call
	events     []message // of the stream, in its order
	quarantine []message
	excused    []excuse
	books      []book
}

// message is one in a stream.
type message struct {
	sequence uint64
	subject  string
	header   nats.Header
	data     []byte
}

func (m message) id() string { return m.header.Get(visit.HeaderMsgID) }

// excuse names messages that a fault destroyed after they were acknowledged. Of
// these ids at most so many may be missing, unless they were sent and kept again
// after the fault. What was being sent between from and until, where from is
// set, may be missing too.
type excuse struct {
	ids         []string
	most        int
	from, until time.Time
	// reordered ones are all there, and may have come again behind others.
	reordered bool
}

// verdict is what the audit found. The counts from missing on are faults.
type verdict struct {
	sent, kept, refused, stored, spooled, quarantined int
	batched, resent                                   int // in a batch; again, since NATS may have lost them
	excused                                           int // would be missing otherwise
	longest                                           time.Duration

	missing, twice, altered, inverted, strange, ledger int
	notes                                              []string
}

func (v *verdict) clean() bool {
	return v.missing+v.twice+v.altered+v.inverted+v.strange+v.ledger == 0
}

// maxNotes bounds what a failed test prints.
const maxNotes = 25

func (v *verdict) fault(count *int, format string, args ...any) {
	*count++
	if len(v.notes) < maxNotes {
		v.notes = append(v.notes, fmt.Sprintf(format, args...))
	}
}

// judge compares the responses that senders got with what is stored.
func (e *evidence) judge() *verdict {
	v := &verdict{stored: len(e.events), quarantined: len(e.quarantine)}
	e.count(v)
	events := index(e.events)
	quarantined := index(e.quarantine)
	e.judgeCalls(v, events, quarantined)
	e.judgeEvents(v, events)
	e.judgeQuarantine(v, quarantined)
	e.judgeOrder(v, events)
	for _, b := range e.books {
		b.judge(v, e.calls)
	}
	return v
}

func (e *evidence) count(v *verdict) {
	for _, c := range e.calls {
		v.sent++
		v.longest = max(v.longest, c.end.Sub(c.start))
		switch {
		case c.kept():
			v.kept++
		case c.refused():
			v.refused++
		case c.cutOff():
		case c.err == nil:
			v.fault(&v.strange, "a call %s was answered %d", c.requestID, c.status)
		}
	}
}

// index is messages by their id.
func index(all []message) map[string][]message {
	byID := make(map[string][]message, len(all))
	for _, m := range all {
		byID[m.id()] = append(byID[m.id()], m)
	}
	return byID
}

// judgeCalls looks for all that was said to be kept.
func (e *evidence) judgeCalls(v *verdict, events, quarantined map[string][]message) {
	answered := map[string]*call{}
	for _, c := range e.calls {
		switch {
		case !c.kept():
		case c.isEvent() && c.eventID != c.id:
			v.fault(&v.strange, "event %s was answered with the id %q", c.id, c.eventID)
		case c.isEvent() && len(events[c.id]) == 0:
			answered[c.id] = c // the last one
		case !c.isEvent() && len(quarantined[c.requestID]) == 0:
			answered[c.requestID] = c
		}
	}
	all := len(answered)
	e.forgive(answered)
	v.excused = all - len(answered)
	for id, c := range answered {
		v.fault(&v.missing, "missing: %s (%s) was answered %d by relay %d in life %d at %s", id, c.kind, c.status, c.relay, c.life, c.end.Format(clock))
	}
}

// forgive takes out what faults may have destroyed. A message that two may have
// destroyed, one what the other had left, must not use up what the first may have
// of those that are its alone: these come first.
func (e *evidence) forgive(answered map[string]*call) {
	faults, left := map[string]int{}, make([]int, len(e.excused))
	for i, x := range e.excused {
		left[i] = x.most
		for id := range x.set() {
			faults[id]++
		}
	}
	for _, several := range []bool{false, true} {
		for i, x := range e.excused {
			left[i] -= x.forgive(answered, left[i], func(id string) bool { return faults[id] > 1 == several })
		}
	}
	for id, c := range answered {
		if slices.ContainsFunc(e.excused, func(x excuse) bool { return !x.reordered && x.meanwhile(c) }) {
			delete(answered, id)
		}
	}
}

func (x excuse) set() map[string]bool {
	ids := map[string]bool{}
	for _, id := range x.ids {
		ids[id] = true
	}
	return ids
}

// forgive takes out at most so many of those that are meant, and returns how many.
func (x excuse) forgive(answered map[string]*call, most int, meant func(id string) bool) (lost int) {
	for _, id := range x.ids {
		if c := answered[id]; c != nil && meant(id) && c.start.Before(x.until) && lost < most {
			lost++
			delete(answered, id)
		}
	}
	return lost
}

// meanwhile reports whether a call was under way while the fault destroyed what
// nobody can list.
func (x excuse) meanwhile(c *call) bool {
	return !x.from.IsZero() && c.start.Before(x.until) && c.end.After(x.from)
}

// batchHeader is in every message of an atomic batch.
const batchHeader = "Nats-Batch-Id"

// clock is fit to compare with logs.
const clock = "15:04:05.000000"

// judgeEvents looks at all that is in the stream of events.
func (e *evidence) judgeEvents(v *verdict, events map[string][]message) {
	sent := map[string]*event{}
	for _, m := range e.events {
		if m.header.Get(batchHeader) != "" {
			v.batched++
		}
	}
	for _, c := range e.calls {
		sent[c.id] = c.event
	}
	for id, all := range events {
		if len(all) > 1 {
			v.fault(&v.twice, "twice: event %s is at %d and %d", id, all[0].sequence, all[1].sequence)
		}
		f := sent[id]
		if id == "" || f == nil {
			v.fault(&v.strange, "nobody sent event %q at %d", id, all[0].sequence)
			continue
		}
		for _, m := range all {
			if why := compare(m, f); why != "" {
				v.fault(&v.altered, "altered: event %s at %d: %s", id, m.sequence, why)
			}
		}
	}
}

// compare says in what a stored event is not what was sent.
func compare(m message, f *event) string {
	var got visit.Event
	if err := json.Unmarshal(m.data, &got); err != nil {
		return err.Error()
	}
	switch {
	case !bytes.Equal(got.Source, f.body):
		return fmt.Sprintf("the source has %d bytes and is not the %d that were sent", len(got.Source), len(f.body))
	case got.ID != f.id || m.header.Get(visit.HeaderID) != f.id:
		return fmt.Sprintf("its id is %s, and %s in the header", got.ID, m.header.Get(visit.HeaderID))
	case got.Kind != f.kind || !strings.HasSuffix(m.subject, "."+string(f.kind)):
		return fmt.Sprintf("it is %s on %s", got.Kind, m.subject)
	case got.Visit != visit.NewVisitKey(f.visit):
		return fmt.Sprintf("its visit is %v", got.Visit)
	default:
		return ""
	}
}

// judgeQuarantine looks at all that was put aside. Every call has a message of
// its own there.
func (e *evidence) judgeQuarantine(v *verdict, quarantined map[string][]message) {
	sent, calls, cutOff := map[string]bool{}, map[string]*call{}, map[string]*call{}
	for _, c := range e.calls {
		switch {
		case c.cutOff():
			cutOff[c.requestID] = c
		case !c.isEvent():
			sent[string(c.body)] = true
			calls[c.requestID] = c
		}
	}
	for id, all := range quarantined {
		if len(all) > 1 {
			v.fault(&v.twice, "twice: %s is in the quarantine at %d and %d", id, all[0].sequence, all[1].sequence)
		}
		for _, m := range all {
			c := calls[id]
			switch {
			case m.header.Get(visit.HeaderReason) == string(visit.ReasonRefused):
				v.fault(&v.strange, "event %s was set aside", m.header.Get(visit.HeaderID))
			case cutOff[id] != nil && bytes.HasPrefix(cutOff[id].body, m.data):
			case c != nil && !bytes.Equal(c.body, m.data):
				v.fault(&v.altered, "altered: %s in the quarantine at %d", id, m.sequence)
			case !sent[string(m.data)]:
				v.fault(&v.strange, "nobody sent %s in the quarantine at %d", id, m.sequence)
			}
		}
	}
}
