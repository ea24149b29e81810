package history

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// decided is the record of a check-in request some minutes after noon.
func decided(key string, verdict visit.Verdict, minute int) visit.Record {
	return visit.Record{
		RequestID: fmt.Sprintf("R%s%s%d", key, verdict, minute), Reference: "REF" + key, Site: "hq", Received: noon.Add(time.Duration(minute) * time.Minute),
		Visit: visit.NewVisitKey(key), Verdict: verdict, Situation: "decided",
	}
}

// happened is an event some minutes after noon.
func happened(key string, kind visit.Kind, minute int) visit.Event {
	at := noon.Add(time.Duration(minute) * time.Minute)
	return visit.Event{ID: fmt.Sprintf("E%s%s%d", key, kind, minute), Kind: kind, Origin: visit.Origin{Site: "hq", Time: at, Received: at, Visit: visit.NewVisitKey(key)}}
}

var contradictionCases = map[string]struct {
	records []visit.Record
	events  []visit.Event
	want    bool
}{
	"rejected, then checked in":                     {[]visit.Record{decided("V", visit.Reject, 0)}, []visit.Event{happened("V", visit.KindCheckedIn, 2)}, true},
	"accepted, rejected, checked in":                {[]visit.Record{decided("V", visit.Accept, 0), decided("V", visit.Reject, 1)}, []visit.Event{happened("V", visit.KindCheckedIn, 2)}, true},
	"rejected, checked in, accepted too late":       {[]visit.Record{decided("V", visit.Reject, 0), decided("V", visit.Accept, 3)}, []visit.Event{happened("V", visit.KindCheckedIn, 2)}, true},
	"rejected, accepted, checked in":                {[]visit.Record{decided("V", visit.Reject, 0), decided("V", visit.Accept, 1)}, []visit.Event{happened("V", visit.KindCheckedIn, 2)}, false},
	"the same, and the acceptance was stored first": {[]visit.Record{decided("V", visit.Accept, 1), decided("V", visit.Reject, 0)}, []visit.Event{happened("V", visit.KindCheckedIn, 2)}, false},
	"checked in, then rejected":                     {[]visit.Record{decided("V", visit.Reject, 3)}, []visit.Event{happened("V", visit.KindCheckedIn, 2)}, false},
	"rejected and checked out":                      {[]visit.Record{decided("V", visit.Reject, 0)}, []visit.Event{happened("V", visit.KindCheckedOut, 2)}, false},
	"another visit was checked in":                  {[]visit.Record{decided("V", visit.Reject, 0)}, []visit.Event{happened("W", visit.KindCheckedIn, 2)}, false},
	"Sine names no visit":                           {[]visit.Record{decided("", visit.Reject, 0)}, []visit.Event{happened("", visit.KindCheckedIn, 2)}, false},
}

func TestContradictions_AreRejectionsThatACheckInFollows(t *testing.T) {
	for name, c := range contradictionCases {
		v := Visit{Records: c.records, Events: c.events}
		if got := v.Contradictions(); (len(got) == 1) != c.want || len(got) > 1 {
			t.Errorf("%s: of the visit, %+v", name, got)
		}
		d, err := Read(t.Context(), stored{records: c.records, events: c.events}, month(), 0)
		if err != nil || (len(d.Contradictions) == 1) != c.want || len(d.Contradictions) == 1 && d.Contradictions[0].Number != 1 {
			t.Errorf("%s: of all, %+v, %v", name, d.Contradictions, err)
		}
	}
}

func TestContradictions_AreNoTestsNoCorrectionsAndNoOtherSites(t *testing.T) {
	for name, change := range map[string]func(r *visit.Record, e *visit.Event){
		"a test is rejected":   func(r *visit.Record, _ *visit.Event) { r.Synthetic = true },
		"a test is checked in": func(_ *visit.Record, e *visit.Event) { e.Synthetic = true },
		"a correction":         func(_ *visit.Record, e *visit.Event) { e.Corrects, e.Revision = "E", 1 },
		"another site":         func(_ *visit.Record, e *visit.Event) { e.Site = "plant" },
	} {
		r, e := decided("V", visit.Reject, 0), happened("V", visit.KindCheckedIn, 2)
		change(&r, &e)
		v := Visit{Records: []visit.Record{r}, Events: []visit.Event{e}}
		if got := v.Contradictions(); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRead_CountsContradictionsBySiteAndNamesTheNewest(t *testing.T) {
	var s stored
	for i := range 12 {
		s.records = append(s.records, decided(fmt.Sprint(i), visit.Reject, i))
		s.events = append(s.events, happened(fmt.Sprint(i), visit.KindCheckedIn, i), happened(fmt.Sprint(i), visit.KindCheckedIn, i+1))
	}
	d, err := Read(t.Context(), s, month(), 0)
	if err != nil || len(d.Contradictions) != 1 || d.MoreContradictions {
		t.Fatalf("%+v, %v", d.Contradictions, err)
	}
	if c := d.Contradictions[0]; c.Site != "hq" || c.Number != 12 || len(c.Newest) != maxNewest || c.Newest[0].Reference != "REF11" {
		t.Errorf("%+v", c)
	}
	var more []visit.Record
	for i := range maxRejected {
		more = append(more, decided(fmt.Sprint("more", i), visit.Reject, i%60))
	}
	s.records = append(more, s.records...)
	if d, err := Read(t.Context(), s, month(), 0); err != nil || !d.MoreContradictions || d.Contradictions[0].Number != 12 {
		t.Errorf("%+v, %v", d.Contradictions, err)
	}
}

// eventless is a store whose events cannot be read.
type eventless struct{ stored }

func (eventless) CheckIns(context.Context, time.Time, time.Time, func(*visit.Event)) (time.Time, bool, error) {
	return time.Time{}, false, visit.ErrDenied
}

func TestRead_ReadsEventsOnlyWhereARejectionNamesTheVisit(t *testing.T) {
	s := eventless{stored{records: many(100)}}
	if _, err := Read(t.Context(), s, month(), 0); err != nil {
		t.Errorf("without ids of visits: %v", err)
	}
	s.records = append(s.records, decided("V", visit.Reject, 0))
	if _, err := Read(t.Context(), s, month(), 0); !errors.Is(err, visit.ErrDenied) {
		t.Errorf("with one: %v", err)
	}
	f := month()
	f.Result = visit.ResultRejected
	if _, err := Read(t.Context(), s, f, 0); err != nil {
		t.Errorf("among the rejected alone: %v", err)
	}
}

func TestRead_NamesNoContradictionWhoseRejectionIsGone(t *testing.T) {
	s := stored{records: []visit.Record{decided("V", visit.Reject, 0)}, events: []visit.Event{happened("V", visit.KindCheckedIn, 1)}, gone: []uint64{0}}
	d, err := Read(t.Context(), s, month(), 0)
	if err != nil || len(d.Contradictions) != 1 || d.Contradictions[0].Number != 1 || len(d.Contradictions[0].Newest) != 0 {
		t.Errorf("%+v, %v", d.Contradictions, err)
	}
}
