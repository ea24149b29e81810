package desk

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestPages_PointOutWhoWasRejectedAndCheckedIn(t *testing.T) {
	b := stored()
	b.records[0].Verdict = visit.Reject
	f := newFixture(t, b)
	pattern := regexp.MustCompile(`Rejected at [0-9: -]+, and checked in at [0-9: -]+: Sine did not obey, or somebody let them in\.`)
	for id, want := range map[string]bool{b.events[0].ID: true, b.records[0].RequestID: true, b.events[1].ID: false} {
		a := f.get(t, "vera", "/visit?event="+id)
		checkHTML(t, id, a.text)
		if a.status != http.StatusOK || pattern.MatchString(a.text) != want {
			t.Errorf("%s got %d: %s", id, a.status, a.text)
		}
	}
	a := f.get(t, "vera", "/decisions")
	checkHTML(t, "decisions", a.text)
	if !strings.Contains(a.text, "Rejected and yet checked in: 1 at hq (") || strings.Contains(a.text, "1 at plant") {
		t.Errorf("Decisions says %s", a.text)
	}
	if a := f.get(t, "vera", "/decisions?site=plant"); strings.Contains(a.text, "yet checked in") {
		t.Errorf("Decisions of another site says %s", a.text)
	}
}

func TestDecisions_SayHowManyTestsThereAre(t *testing.T) {
	b := stored()
	f := newFixture(t, b)
	if a := f.get(t, "vera", "/decisions"); !strings.Contains(a.text, "2 check-in requests from") {
		t.Errorf("without a test: %s", a.text)
	}
	b.set(func() { b.records[1].Synthetic = true })
	if a := f.get(t, "vera", "/decisions"); !strings.Contains(a.text, "1 check-in request and 1 test from") {
		t.Errorf("with one: %s", a.text)
	}
}

func TestVisit_SaysWhichTimeSineSent(t *testing.T) {
	b := stored()
	f := newFixture(t, b)
	if a := f.get(t, "vera", "/visit?event="+b.events[0].ID); strings.Contains(a.text, "Sine says") {
		t.Errorf("of the same time it says %s", a.text)
	}
	b.set(func() { b.events[0].Time = b.events[0].Received.Add(-5 * time.Minute) })
	if a := f.get(t, "vera", "/visit?event="+b.events[0].ID); !strings.Contains(a.text, "Sine says") {
		t.Errorf("of another time it says %s", a.text)
	}
}

// A page that does not have everything says so, and says nothing of it that it has not read.
func TestDecisions_SayWhatTheyLack(t *testing.T) {
	b := stored()
	b.records[0].Verdict = visit.Reject
	f := newFixture(t, b)
	if a := f.get(t, "vera", "/decisions"); strings.Contains(a.text, "not on this page") {
		t.Errorf("with everything: %s", a.text)
	}
	for reading, want := range map[bool]string{true: "The desk is still reading what is stored: decisions before", false: "there are more than the desk counts"} {
		b.set(func() { b.since, b.reading = time.Now(), reading })
		a := f.get(t, "vera", "/decisions")
		checkHTML(t, "decisions", a.text)
		if !strings.Contains(a.text, want) || strings.Count(a.text, "not on this page") != 2 {
			t.Errorf("still reading: %v: %s", reading, a.text)
		}
		if a := f.get(t, "vera", "/decisions?from=2020-01-01&to=2020-01-02"); !strings.Contains(a.text, want) || strings.Contains(a.text, "No decision is stored") {
			t.Errorf("of days without any, still reading: %v: %s", reading, a.text)
		}
	}
}
