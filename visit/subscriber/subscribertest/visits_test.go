package subscribertest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/schematest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/contract"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// That a relay makes the same of the bodies is tested in package relaytest.
func TestVisits_AreValidByTheSchemas(t *testing.T) {
	schemas, err := schematest.Compile(contract.Files())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for name, v := range subscribertest.Visits() {
		if names[name] {
			t.Errorf("there are two visits called %s", name)
		}
		names[name] = true
		r := v.CheckInRequest()
		asked, err := r.Message(visit.Subjects{}, "default")
		if err != nil {
			t.Fatal(err)
		}
		asked.Header[visit.HeaderTimeout] = []string{"2500"} // which the broker sets
		if err := schemas.ValidateMessage("check-in-request", asked.Header, asked.Data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, e := range []visit.Event{v.CheckedIn(), v.CheckedOut()} {
			m, err := e.Message(visit.Subjects{})
			if err != nil {
				t.Fatal(err)
			}
			if err := schemas.ValidateMessage("event", m.Header, m.Data); err != nil {
				t.Errorf("%s, %s: %v", name, e.Kind, err)
			}
		}
	}
}

func TestVisits_HaveIDsOfTheirOwn(t *testing.T) {
	events, requests := map[string]string{}, map[string]string{}
	for name, v := range subscribertest.Visits() {
		for _, e := range []visit.Event{v.CheckedIn(), v.CheckedOut()} {
			if other := events[e.ID]; other != "" && other != name {
				t.Errorf("%s and %s have the same event id", name, other)
			}
			events[e.ID], requests[e.RequestID] = name, name
		}
		if again := v.CheckedIn(); (events[again.ID] == "") != (name == "no date") {
			t.Errorf("%s: the id of the event is another one each time", name)
		}
		requests[v.CheckInRequest().RequestID] = name
	}
}

func TestVisitor_MayComeAtAnotherTimeOfDay(t *testing.T) {
	for _, v := range []subscribertest.Visit{subscribertest.Visitor(), subscribertest.LocalDate()} {
		q := v.At(6, 30).CheckInRequest()
		at, err := q.LocalTime()
		if got := at.Format(time.DateTime); err != nil || got != "2026-11-19 06:30:00" || q.RequestID == v.CheckInRequest().RequestID {
			t.Errorf("it is %s, %v", got, err)
		}
	}
}

// As the contract's page says to programs that cannot decode the numbers in it.
func TestVisits_HaveTheirSourceBehindTheFirstFieldOfThatName(t *testing.T) {
	for name, v := range subscribertest.Visits() {
		v.Extra = append(v.Extra, "more", ` {"a":1,"source":{"b":9007199254740993}} `)
		v.Company = `","source":"`
		e := v.CheckedIn()
		m, err := e.Message(visit.Subjects{})
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(m.Data), `,"source":`)
		if got := rest[:strings.LastIndex(rest, "}")]; got != string(e.Source) {
			t.Errorf("%s: found %s", name, got)
		}
	}
}

func TestVisitor_IsChangedByItsFields(t *testing.T) {
	v := subscribertest.Visitor()
	v.Company, v.Host.LastName, v.Time = "Denied", "", v.Time.Add(time.Hour)
	v.TimeZone, v.ExternalID, v.Extra = "nowhere", "HQ-7", []string{"badge", "9007199254740993"}
	v.TimeBasis = visit.TimeInAssumedZone
	e := v.CheckedOut()
	var sent struct {
		Date, ExternalID string
		Data             struct {
			Company, Status string
			Badge           json.Number
		}
	}
	if err := json.Unmarshal(e.Source, &sent); err != nil {
		t.Fatal(err)
	}
	if sent.Data.Company != "Denied" || sent.Data.Badge != "9007199254740993" || sent.Data.Status != "Checked Out" ||
		sent.ExternalID != "HQ-7" || sent.Date != "2026-11-19 06:42:07" {
		t.Errorf("Sine sends %s", e.Source)
	}
	if e.Company != "Denied" || !e.Time.Equal(v.Time.Add(8*time.Hour)) || e.ID == subscribertest.Visitor().CheckedOut().ID {
		t.Errorf("the event is %+v", e)
	}
	if again := subscribertest.Visitor(); again.Host.LastName == "" {
		t.Error("the next visitor is changed, too")
	}
}
