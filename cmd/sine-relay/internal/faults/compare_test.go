//go:build linux && faults

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// judgeEvents looks at all that is in the stream of events.
func (e *evidence) judgeEvents(v *verdict, events map[string][]message) {
	sent := map[string]*event{}
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
