package visit_test

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// stored is an event as it was stored with a wrong configuration, and the company that a
// better one finds.
func stored() visit.Event {
	return visit.Event{ID: "e1", Kind: visit.KindCheckedIn, Origin: fullOrigin(), Source: visit.Source(`{"org":"Contoso"}`)}
}

func correct(t *testing.T, current visit.Event, company string) visit.Event {
	t.Helper()
	c := stored()
	c.Company = company
	if err := c.Correct(&current); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCorrect_TheIDIsThatOfWhatIsSaid(t *testing.T) {
	event := stored()
	first, again, other := correct(t, event, "Contoso"), correct(t, event, "Contoso"), correct(t, event, "Fabrikam")
	if first.ID != again.ID || first.ID == other.ID || first.ID == event.ID || len(first.ID) != 32 {
		t.Errorf("the ids are %s, %s and %s", first.ID, again.ID, other.ID)
	}
	if first.Corrects != event.ID || first.Revision != 1 || !first.IsCorrection() || event.IsCorrection() {
		t.Errorf("%+v", first)
	}
	// A configuration that is changed back and forth makes each time another one.
	back := correct(t, first, "")
	forth := correct(t, back, "Contoso")
	if forth.ID == first.ID || forth.Corrects != event.ID || forth.Revision != 3 {
		t.Errorf("the third correction is %+v, the first %+v", forth, first)
	}
	elsewhere := event
	elsewhere.ID = "e2"
	if c := correct(t, elsewhere, "Contoso"); c.ID == first.ID {
		t.Error("two events have one correction")
	}
}

func TestCorrect_WhatCannotBeWrittenIsAnError(t *testing.T) {
	event, c := stored(), stored()
	c.Time = time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := c.Correct(&event); err == nil || c.ID != "" {
		t.Errorf("the id is %q: %v", c.ID, err)
	}
}

// Programs that get the same messages in any order keep the same one.
func TestSupersedes_TheOrderOfDeliveryDoesNotMatter(t *testing.T) {
	event := stored()
	first := correct(t, event, "Contoso")
	second, rival := correct(t, first, "Fabrikam"), correct(t, first, "Northwind")
	latest := slices.MaxFunc([]visit.Event{second, rival}, func(a, b visit.Event) int { return cmp.Compare(a.ID, b.ID) })
	all := []visit.Event{event, first, second, rival}
	for _, order := range permutations(len(all)) {
		kept := all[order[0]]
		for _, i := range order {
			if e := all[i]; e.Supersedes(&kept) {
				kept = e
			}
		}
		if kept.ID != latest.ID {
			t.Errorf("in the order %v revision %d is kept, with %s", order, kept.Revision, kept.Company)
		}
	}
	other := stored()
	other.ID = "e2"
	if first.Supersedes(&other) || other.Supersedes(&event) || event.Supersedes(&event) {
		t.Error("one event supersedes another, or itself")
	}
}

func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, shorter := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), i, n-1))
		}
	}
	return all
}

func TestCorrection_ItsMessageNamesTheEvent(t *testing.T) {
	event := stored()
	c := correct(t, event, "Contoso")
	before, err := event.Message(visit.Subjects{})
	m, correctionErr := c.Message(visit.Subjects{})
	if err = errors.Join(err, correctionErr); err != nil {
		t.Fatal(err)
	}
	if got := m.Header[visit.HeaderCorrects]; m.Subject != before.Subject || m.ID != c.ID || !slices.Equal(got, []string{event.ID}) {
		t.Errorf("%s on %s corrects %q", m.ID, m.Subject, got)
	}
	if before.Header[visit.HeaderCorrects] != nil {
		t.Error("the event itself corrects one")
	}
}
