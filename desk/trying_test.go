package desk

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// fakeTrier answers everything; it calls no relay.
type fakeTrier struct {
	panics bool
	calls  []TryCall
	on     bool
}

func (f *fakeTrier) Targets() []TryTarget {
	return []TryTarget{{"lobby-hq", "hq"}, {"lobby-plant", "plant"}}
}

func (f *fakeTrier) Try(_ context.Context, _ string, call TryCall) (Tried, error) {
	if f.panics {
		panic("a value with " + call.LastName)
	}
	f.calls = append(f.calls, call)
	return Tried{
		Accepted: true, Text: hostile, Notes: []string{hostile}, Reference: "ABCDE", RequestID: "ABCDEFGH", Curl: "curl " + hostile,
		Messages: []TryMessage{{From: "sine", To: "relay", What: "POST /sine/lobby-hq", After: time.Millisecond, Header: [][2]string{{"A", hostile}}, Body: []byte(hostile)}},
	}, nil
}

func (f *fakeTrier) Troubles() []Trouble {
	return []Trouble{{Name: "gone", Begin: "Stop the decider", Text: "The decider is gone.", On: f.on}}
}

func (f *fakeTrier) SetTrouble(_ context.Context, _ string, on bool) error { f.on = on; return nil }

func TestTry_GoesFromTheRequestToTheCheckOut(t *testing.T) {
	b, trier := stored(), &fakeTrier{}
	f := newFixture(t, b, func(c *Config) { c.Trier = trier })
	f.read(t)
	visitID := ""
	for _, step := range []string{"check-in-request", "check-in-success", "check-out-success"} {
		a := f.post(t, "olga", "/try", "integration", "lobby-hq", "step", step, "visit", visitID, "first", "Ada", "last", "Example", "answers", "Laptop?: no\nPet?: a cat")
		if a.status != http.StatusOK || !strings.Contains(a.text, "POST /sine/lobby-hq") {
			t.Fatalf("%s got %d: %s", step, a.status, a.text)
		}
		checkHTML(t, step, a.text)
		call := trier.calls[len(trier.calls)-1]
		if string(call.Step) != step || len(call.Answers) != 2 || call.Answers[1] != [2]string{"Pet?", "a cat"} || visitID != "" && call.Visit != visitID {
			t.Errorf("the call is %+v", call)
		}
		visitID = call.Visit
	}
	if audits := b.audited(); len(audits) != 3 || audits[0].Action != visit.ActionTry || audits[0].Site != "hq" {
		t.Errorf("the records are %+v", audits)
	}
	for who, integration := range map[string]string{"olga": "lobby-plant", "rita": "lobby-hq", "vera": "lobby-hq", "otto": "elsewhere"} {
		if a := f.post(t, who, "/try", "integration", integration, "step", "check-in-request"); a.status != http.StatusNotFound {
			t.Errorf("%s got %d for %s", who, a.status, integration)
		}
	}
}

func TestTry_TroublesAreForOperatorsOfAllSites(t *testing.T) {
	trier := &fakeTrier{}
	f := newFixture(t, stored(), func(c *Config) { c.Trier = trier })
	f.read(t)
	if a := f.post(t, "olga", "/try/trouble", "name", "gone", "on", "true"); a.status != http.StatusNotFound || trier.on {
		t.Errorf("an operator of one site got %d", a.status)
	}
	if a := f.post(t, "otto", "/try/trouble", "name", "other", "on", "true"); a.status != http.StatusNotFound {
		t.Errorf("one that does not exist got %d", a.status)
	}
	if a := f.post(t, "otto", "/try/trouble", "name", "gone", "on", "true"); a.status != http.StatusSeeOther || !trier.on {
		t.Errorf("it got %d", a.status)
	}
	if a := f.get(t, "otto", "/try"); !strings.Contains(a.text, "This is so now.") || !strings.Contains(a.text, "Mend it</button>") {
		t.Errorf("the page says %s", a.text)
	}
}
