package dev

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

const hostileLine = "mark\x1b[2J\x1b]0;x\x07\u009b1m\r\u202eevil\nforged line\tand cell"

func TestDemo_EventIsPrintedPrintably(t *testing.T) {
	var out bytes.Buffer
	printEvent(&out, visit.Event{
		ID: hostileLine, Kind: hostileLine, Origin: visit.Origin{Site: hostileLine, Time: time.Now()},
		Pass: visit.Pass{Company: hostileLine, Person: visit.Person{FirstName: hostileLine, LastName: hostileLine}},
	})
	if text := strings.TrimSuffix(out.String(), "\n"); !strings.Contains(text, "mark") || !terminal.IsPrintable(text) {
		t.Errorf("%q", text)
	}
}

// What a decider or Sine leaves out leaves no gap in a line of dev.
func TestDev_PrintsWhatIsThere(t *testing.T) {
	for want, e := range map[string]visit.Event{
		"  Ada  (id 1)":                                        {ID: "1", Pass: visit.Pass{Person: visit.Person{FirstName: "Ada"}}},
		"  Lovelace, Engines  (id 1)":                          {ID: "1", Pass: visit.Pass{Company: "Engines", Person: visit.Person{LastName: "Lovelace"}}},
		"  nobody is named  (id 1)":                            {ID: "1"},
		"(id 1; cause expired; missing company, host.group)\n": {ID: "1", Cause: visit.CauseExpired, Missing: []string{"company", "host.group"}},
		"correction  0001-01-01":                               {ID: "2", Corrects: "1", Revision: 1},
		"(id 2; revision 1 of event 1)\n":                      {ID: "2", Corrects: "1", Revision: 1},
	} {
		var out bytes.Buffer
		if printEvent(&out, e); !strings.Contains(out.String(), want) {
			t.Errorf("%q, want %q in it", out.String(), want)
		}
	}
	var out bytes.Buffer
	printRecord(&out, visit.Record{RequestID: "R", Rule: "incomplete", Missing: []string{"company"}})
	if !strings.HasSuffix(out.String(), "(request R; missing company)\n") {
		t.Errorf("%q", out.String())
	}
	votes := []visit.Vote{{Decider: "dock", Situation: "decided"}, {Decider: "hr", Version: "1.2.0", Situation: "decided"}}
	if got, want := settledBy(visit.Record{Votes: votes}), "by decider dock, hr 1.2.0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
