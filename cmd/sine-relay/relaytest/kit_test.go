package relaytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/relaytest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// What the visits of package subscribertest say about themselves is what a relay makes of
// them.
func TestVisits_AreWhatTheRelayMakesOfThem(t *testing.T) {
	t.Parallel()
	christmas := time.Date(2026, 12, 24, 22, 30, 0, 0, time.UTC)
	evenNameless := `{integrations: [{name: default, site: hq, deciders: [{name: default, expects: []}]}]}`
	r := relaytest.Start(t, relaytest.Clock(func() time.Time { return christmas }), relaytest.Integrations(evenNameless))
	asked := make(chan visit.CheckInRequest, 1)
	r.Decide(func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		asked <- q
		return visit.Decision{Verdict: visit.Accept}, nil
	})
	for name, v := range subscribertest.Visits() {
		before := len(r.Events())
		r.CheckIn(v)
		r.CheckedIn(v)
		r.CheckedOut(v)
		want := v.CheckInRequest()
		match(t, name, &want.Origin, christmas, func() any { return want }, <-asked)
		stored := r.Events()[before:]
		if len(stored) != 2 {
			t.Errorf("%s: %d events are stored", name, len(stored))
		}
		for _, got := range stored {
			want := v.CheckedIn()
			if got.Kind == visit.KindCheckedOut {
				want = v.CheckedOut()
			}
			if want.TimeBasis == visit.TimeReceived {
				want.ID = got.ID // random
			}
			match(t, name, &want.Origin, christmas, func() any { return want }, got)
		}
	}
}

// match compares what a relay made with what a visit says. The relay's request id is
// random, and its clock another one.
func match(t *testing.T, name string, want *visit.Origin, received time.Time, whole func() any, got any) {
	t.Helper()
	if o := reflect.ValueOf(got).FieldByName("Origin").Interface().(visit.Origin); len(o.RequestID) == len(want.RequestID) {
		want.RequestID = o.RequestID
	}
	if want.Received = received; want.TimeBasis == visit.TimeReceived {
		want.Time = received
	}
	inJSON := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if a, b := inJSON(whole()), inJSON(got); a != b {
		t.Errorf("%s: the visit says\n%.2000s\nthe relay\n%.2000s", name, a, b)
	}
}

// What package subscribertest says about a decider is what a relay makes of it.
func TestAsk_IsAsInService(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 9<<10)
	for name, d := range map[string]visit.Decision{
		"an acceptance":                {Verdict: visit.Accept, VisitorText: "Wel\u202ecome\a!", AdminNote: "note"},
		"an acceptance with a pass":    {Verdict: visit.Accept, Pass: map[string]json.RawMessage{"badge": []byte("9007199254740993")}},
		"a rejection":                  {Verdict: visit.Reject, VisitorText: "No.", Pass: map[string]json.RawMessage{"a": []byte("1")}},
		"a rejection with a long text": {Verdict: visit.Reject, VisitorText: long},
		"an acceptance with one":       {Verdict: visit.Accept, VisitorText: long},
		"no verdict":                   {VisitorText: "Welcome!"},
		"an error":                     {Verdict: "fail"},
		"a panic":                      {Verdict: "panic"},
		"nothing in time":              {Verdict: "wait"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decide := func(ctx context.Context, _ visit.CheckInRequest) (visit.Decision, error) {
				switch d.Verdict {
				case "fail":
					return d, errors.New("no database")
				case "panic":
					panic("no database")
				case "wait":
					<-ctx.Done()
				}
				return d, nil
			}
			budget := 10 * time.Second
			if d.Verdict == "wait" {
				budget = time.Second
			}
			r := relaytest.Start(t, relaytest.Setting("SINE_RELAY_DECISION_BUDGET", budget.String()), relaytest.Integrations(`
integrations: [{name: default, site: hq, rejectText: "", responses: {accept: {v: "{visitorText}", a: "{adminNote}"}, reject: {v: "{visitorText}"}}}]`))
			r.Decide(decide)
			got := r.CheckIn(subscribertest.Visitor())
			read, err := subscribertest.Try(t, decide, subscribertest.Visitor().CheckInRequest(), subscribertest.Within(budget))
			situation := visit.SituationDecided
			switch {
			case errors.Is(err, visit.ErrTimeout):
				situation = visit.SituationTimeout
			case errors.Is(err, visit.ErrBadReply):
				situation = visit.SituationBadReply
			}
			if got.Record.Situation != situation || err == nil && got.Record.Verdict != read.Verdict {
				t.Errorf("the kit: %+v, %v; the relay: %+v", read, err, got.Record)
			}
			var answer map[string]json.RawMessage
			if err := json.Unmarshal(got.Body, &answer); err != nil {
				t.Fatal(err)
			}
			var text string
			if json.Unmarshal(answer["v"], &text); read.VisitorText != "" && text != read.VisitorText {
				t.Errorf("the kit: %q, the relay: %q", read.VisitorText, text)
			}
			if string(answer["badge"]) != string(read.Pass["badge"]) {
				t.Errorf("the kit: %s, the relay: %s", read.Pass["badge"], answer["badge"])
			}
		})
	}
}
