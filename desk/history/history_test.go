package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// stored is what a test has stored. It filters as the desk's broker says.
type stored struct {
	records []visit.Record
	events  []visit.Event
	err     error
	// since and reading are what is said of that not everything is counted, and gone the
	// records that were deleted meanwhile.
	since   time.Time
	reading bool
	gone    []uint64
}

func (s stored) Records(_ context.Context, site, result string, from, to time.Time, fn func(visit.Record) error) error {
	for _, r := range s.records {
		accepted := (r.Verdict == visit.Accept) == (result == visit.ResultAccepted)
		if (site == "" || r.Site == site) && (result == "" || accepted) && !r.Received.Before(from) && (to.IsZero() || r.Received.Before(to)) {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return s.err
}

func (s stored) Events(_ context.Context, site string, from, to time.Time, fn func(visit.Event) error) error {
	for _, e := range s.events {
		if (site == "" || e.Site == site) && !e.Received.Before(from) && (to.IsZero() || e.Received.Before(to)) {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return s.err
}

func (s stored) Decisions(ctx context.Context, from, to time.Time, fn func(uint64, *visit.Record)) (time.Time, bool, error) {
	for i, r := range slices.Backward(s.records) {
		if !r.Received.Before(from) && (to.IsZero() || r.Received.Before(to)) {
			outline := visit.Record{Site: r.Site, Received: r.Received, Verdict: r.Verdict, Situation: r.Situation, Fallback: r.Fallback, Synthetic: r.Synthetic, Visit: opaque(r.Visit)}
			if r.Order != nil {
				outline.Order = &visit.OrderNote{}
			}
			fn(uint64(i), &outline)
		}
	}
	return s.since, s.reading, s.err
}

func (s stored) CheckIns(ctx context.Context, from, to time.Time, fn func(*visit.Event)) (time.Time, bool, error) {
	err := s.Events(ctx, "", from, to, func(e visit.Event) error {
		if e.Kind == visit.KindCheckedIn && !e.IsCorrection() && e.Visit.Value != "" {
			fn(&visit.Event{Kind: e.Kind, Origin: visit.Origin{Site: e.Site, Received: e.Received, Synthetic: e.Synthetic, Visit: opaque(e.Visit)}})
		}
		return nil
	})
	return s.since, s.reading, err
}

func (s stored) RecordsAt(_ context.Context, sequences []uint64, fn func(uint64, visit.Record)) error {
	for _, sequence := range sequences {
		if !slices.Contains(s.gone, sequence) {
			fn(sequence, s.records[sequence])
		}
	}
	return s.err
}

// opaque is a key that says no more than that it is the same.
func opaque(k visit.VisitKey) visit.VisitKey {
	if k.Value != "" {
		k.Value = "the same as " + k.Value
	}
	return k
}

// oneVisit is a visit with an answer, a check-in that was corrected, and a check-out three
// days later; and another one.
func oneVisit() stored {
	origin := func(request, key string, at time.Time) visit.Origin {
		return visit.Origin{RequestID: request, Site: "hq", Integration: "lobby", Visit: visit.NewVisitKey(key), Received: at, Time: at}
	}
	person := visit.Pass{Person: visit.Person{LastName: "Quillfeather"}}
	return stored{
		records: []visit.Record{
			{RequestID: "ABCDE11111", Reference: "ABCDE", Site: "hq", Integration: "lobby", Received: noon, Visit: visit.NewVisitKey("V1"),
				Verdict: visit.Accept, Situation: "decided", Rule: "accepted", TookMs: 20, Votes: []visit.Vote{
					{Decider: "watchlist", Version: "v7", Situation: "decided", Verdict: visit.Accept, TookMs: 12},
					{Decider: "badge", Situation: "timeout", Verdict: visit.Reject, Fallback: true, Shadow: true},
				}},
			{RequestID: "OTHER11111", Reference: "OTHER", Site: "hq", Integration: "lobby", Received: noon, Visit: visit.NewVisitKey("V2")},
		},
		events: []visit.Event{
			{ID: "E1", Kind: visit.KindCheckedIn, Origin: origin("REQ2", "V1", noon.Add(time.Minute)), Pass: person, Source: visit.Source(`1`)},
			{ID: "E2", Kind: visit.KindCheckedIn, Corrects: "E1", Revision: 1, Origin: origin("REQ2", "V1", noon.Add(time.Minute)), Pass: person},
			{ID: "E3", Kind: visit.KindCheckedOut, Cause: visit.CauseExpired, Origin: origin("REQ3", "V1", noon.Add(40*time.Hour)), Pass: person},
			{ID: "E9", Kind: visit.KindCheckedIn, Origin: origin("REQ9", "V2", noon.Add(time.Minute)), Pass: person},
		},
	}
}

func TestFind_AnyIdLeadsToTheWholeVisit(t *testing.T) {
	for _, id := range []string{"ABCDE", "abcde", "ABCDE11111", "E1", "E2", "E3", "V1", " REQ2 "} {
		q := Query{ID: id, Sites: []string{visit.AllSites}, From: noon.Add(-time.Hour), To: noon.Add(48 * time.Hour)}
		v, err := Find(t.Context(), oneVisit(), q)
		if err != nil || len(v.Records) != 1 || len(v.Events) != 3 || v.Cut {
			t.Errorf("%q led to %d records and %d events, %v", id, len(v.Records), len(v.Events), err)
		}
		if strings.Contains(fmt.Sprintf("%+v", v), "Quillfeather") {
			t.Errorf("%q led to a name", id)
		}
	}
	for _, q := range []Query{{ID: "ABCDE", Sites: []string{"plant"}}, {ID: "nothing", Sites: []string{visit.AllSites}}, {ID: "E1"}} {
		if v, err := Find(t.Context(), oneVisit(), q); err != nil || len(v.Records)+len(v.Events) != 0 {
			t.Errorf("%+v led to %+v, %v", q, v, err)
		}
	}
}

func TestFind_SaysThatItCannotRead(t *testing.T) {
	s := oneVisit()
	s.err = visit.ErrDisconnected
	if _, err := Find(t.Context(), s, Query{ID: "ABCDE", Sites: []string{"hq"}}); !errors.Is(err, visit.ErrDisconnected) {
		t.Error(err)
	}
}

func TestFind_KeepsNoMoreThanIsShown(t *testing.T) {
	s := oneVisit()
	for i := range 1000 {
		e := s.events[0]
		e.ID = fmt.Sprint("many-", i)
		s.events = append(s.events, e)
	}
	v, err := Find(t.Context(), s, Query{ID: "V1", Sites: []string{"hq"}})
	if err != nil || !v.Cut || len(v.Events) != maxFound {
		t.Errorf("%d events, cut: %v, %v", len(v.Events), v.Cut, err)
	}
}

func TestTimeline_SaysWhatHappenedInOrder(t *testing.T) {
	v, err := Find(t.Context(), oneVisit(), Query{ID: "V1", Sites: []string{"hq"}})
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	lines := ""
	for _, item := range v.Timeline(func(s string) string { return "(" + s + ")" }) {
		titles = append(titles, item.Title)
		lines += strings.Join(item.Lines, "\n") + "\n"
		if item.Replaced != (item.Event != nil && item.Event.ID == "E1") {
			t.Errorf("%s is replaced: %v", item.Title, item.Replaced)
		}
	}
	if got := strings.Join(titles, "; "); got != "Check-in request; Answered: accepted; Checked in; Correction 1: Checked in; Pass expired: the visitor may still be inside" {
		t.Errorf("it is %s", got)
	}
	for _, want := range []string{"After 20.0 ms: (decided). Rule: accepted", "Decider watchlist (version v7): accept, 12.0 ms", "Decider badge: (timeout), its fallback: reject. It is a shadow: this did not count"} {
		if !strings.Contains(lines, want) {
			t.Errorf("the lines do not have %q: %s", want, lines)
		}
	}
}

func TestTimeline_GoesByTheRelaysClockAndSaysSinesWhereItDiffers(t *testing.T) {
	s := oneVisit()
	s.events[0].Time = noon.Add(-time.Hour)
	s.events[2].Time = s.events[2].Received.Add(-400 * time.Millisecond)
	v, err := Find(t.Context(), s, Query{ID: "V1", Sites: []string{"hq"}})
	if err != nil {
		t.Fatal(err)
	}
	items := v.Timeline(func(s string) string { return s })
	if len(items) != 5 || items[0].Title != "Check-in request" || items[2].Event == nil || items[2].Event.ID != "E1" {
		t.Fatalf("it is %+v", items)
	}
	if !items[2].At.Equal(noon.Add(time.Minute)) || !items[2].Sine.Equal(noon.Add(-time.Hour)) {
		t.Errorf("the check-in is at %s, %s by Sine", items[2].At, items[2].Sine)
	}
	if !items[4].Sine.IsZero() {
		t.Errorf("the check-out is at %s by Sine, which is when it was received", items[4].Sine)
	}
}

// many are decisions of 30 days, the oldest first.
func many(n int) (all []visit.Record) {
	for i := range n {
		r := visit.Record{
			RequestID: fmt.Sprint("R", i), Site: "hq", Integration: "lobby", Received: noon.Add(time.Duration(i) * (30 * 24 * time.Hour / time.Duration(n))),
			Verdict: visit.Accept, Situation: "decided", Rule: "accepted",
		}
		switch {
		case i%10 == 1:
			r.Verdict = visit.Reject
		case i%10 == 2:
			r.Fallback, r.Situation = true, "timeout"
		case i%100 == 3:
			r.Verdict, r.Order = visit.Reject, &visit.OrderNote{Kind: visit.OrderLockdown, By: "ada"}
		}
		all = append(all, r)
	}
	return all
}

func month() Filter {
	return Filter{Sites: []string{visit.AllSites}, From: noon.Truncate(24 * time.Hour), To: noon.AddDate(0, 0, 31), Zone: time.UTC}
}

func TestRead_CountsAllAndListsTheNewest(t *testing.T) {
	s := stored{records: many(1000)}
	d, err := Read(t.Context(), s, month(), 0)
	if err != nil || d.Total != 1000 || len(d.List) != PageSize || d.List[0].RequestID != "R999" || !d.More {
		t.Fatalf("%d, %d, %v", d.Total, len(d.List), err)
	}
	var parts [5]int
	for _, day := range d.Days {
		for i, n := range day.Parts {
			parts[i] += n
		}
	}
	if parts != [5]int{790, 100, 100, 0, 10} || len(d.Days) != 32 || d.Days[0].Date != "2026-11-18" || d.Situations[0] != (Count{"decided", 900}) {
		t.Errorf("the parts are %v, the days %d, the situations %v", parts, len(d.Days), d.Situations)
	}
	if d, err := Read(t.Context(), s, month(), 19); err != nil || d.List[0].RequestID != "R49" || d.More || len(d.List) != PageSize {
		t.Errorf("the last page begins with %v, %v", d.List[0].RequestID, err)
	}
	for result, want := range map[string]int{visit.ResultRejected: 110, visit.ResultAccepted: 890, ResultFallback: 100} {
		f := month()
		f.Result = result
		if d, err := Read(t.Context(), s, f, 0); err != nil || d.Total != want {
			t.Errorf("%s: %d, %v", result, d.Total, err)
		}
	}
}

func TestRead_ListsTheNewestOfSomeSites(t *testing.T) {
	s := stored{records: many(300)}
	for i := range s.records {
		s.records[i].Site = []string{"hq", "plant", "annex"}[i%3]
	}
	late := s.records[0] // it waited in a spool
	late.RequestID, late.Received = "LATE", s.records[298].Received.Add(time.Second)
	s.records = append(s.records, late)
	f := month()
	f.Sites = []string{"plant", "hq"}
	d, err := Read(t.Context(), s, f, 0)
	if err != nil || d.Total != 201 || d.List[0].RequestID != "LATE" || d.List[1].RequestID != "R298" || d.List[2].RequestID != "R297" {
		t.Errorf("%d, %+v, %v", d.Total, d.List, err)
	}
}

// What is at a sequence number may be another record by then, of a site that its reader
// may not see.
func TestRead_ListsNoOtherRecordThanWasCounted(t *testing.T) {
	for name, change := range map[string]func(*visit.Record){
		"of another site": func(r *visit.Record) { r.Site = "secret" },
		"of another time": func(r *visit.Record) { r.Received = r.Received.Add(time.Minute) },
	} {
		s := replaced{stored{records: many(2), gone: []uint64{0}}, change}
		f := month()
		f.Sites = []string{"hq"}
		if d, err := Read(t.Context(), s, f, 0); err != nil || d.Total != 2 || len(d.List) != 0 {
			t.Errorf("%s: %d, %+v, %v", name, d.Total, d.List, err)
		}
	}
}

// replaced has other records where those are that it counts.
type replaced struct {
	stored
	change func(*visit.Record)
}

func (s replaced) RecordsAt(ctx context.Context, sequences []uint64, fn func(uint64, visit.Record)) error {
	return s.stored.RecordsAt(ctx, sequences, func(sequence uint64, r visit.Record) {
		s.change(&r)
		fn(sequence, r)
	})
}

func TestRead_SaysWhatIsNotCounted(t *testing.T) {
	s := stored{records: many(10), since: noon, reading: true}
	s.records[1].Visit = visit.NewVisitKey("V") // rejected
	want := Extent{noon, true}
	if d, err := Read(t.Context(), s, month(), 0); err != nil || d.Counted != want || d.CheckIns != want {
		t.Errorf("%+v, %+v, %v", d.Counted, d.CheckIns, err)
	}
}

func TestRead_CountsTestsApart(t *testing.T) {
	s := stored{records: many(100)}
	for _, i := range []int{0, 1, 2} {
		s.records[i].Synthetic, s.records[i].Situation = true, "overloaded"
	}
	d, err := Read(t.Context(), s, month(), 0)
	plotted := 0
	for _, day := range d.Days {
		plotted += day.Total()
	}
	if err != nil || d.Total != 97 || d.Tests != 3 || plotted != 97 {
		t.Errorf("%d and %d tests, %d of all days, %v", d.Total, d.Tests, plotted, err)
	}
	for _, c := range d.Situations {
		if c.Situation == "overloaded" {
			t.Errorf("the situations are %v", d.Situations)
		}
	}
	if d, err := Read(t.Context(), s, month(), 1); err != nil || !d.List[49].Synthetic {
		t.Errorf("the list has no test, %v", err)
	}
}

func TestRead_ADayIsThatOfTheCalendarAlsoWhenTheClocksChange(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 10, 26, 0, 10, 0, 0, zone) // the day before has 25 hours
	f := Filter{Sites: []string{"hq"}, From: time.Date(2026, 10, 24, 0, 0, 0, 0, zone), To: time.Date(2026, 10, 27, 0, 0, 0, 0, zone), Zone: zone}
	d, err := Read(t.Context(), stored{records: []visit.Record{{Site: "hq", Received: at, Verdict: visit.Accept}}}, f, 0)
	if err != nil || len(d.Days) != 3 || d.Days[2].Total() != 1 {
		t.Errorf("%+v, %v", d.Days, err)
	}
}

func BenchmarkRead_AHundredThousandDecisions(b *testing.B) {
	s := stored{records: many(100_000)}
	for b.Loop() {
		if d, err := Read(b.Context(), s, month(), 0); err != nil || d.Total != 100_000 {
			b.Fatal(d.Total, err)
		}
	}
}
