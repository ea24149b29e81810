package relay

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func newReader(t *testing.T, change func(*Integration)) *Reader {
	t.Helper()
	in := Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("first", testKey)}}
	if change != nil {
		change(&in)
	}
	r, err := NewReader([]Integration{in}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func kept(body string) visit.Quarantined {
	return visit.Quarantined{
		RequestID: "K7Q2M3456789ABCDEFGH", Site: "hq", Integration: "lobby", Reason: visit.ReasonUnknownEvent,
		Received: time.Date(2026, 11, 18, 21, 42, 32, 0, time.UTC), Body: []byte(body),
	}
}

// What is read again has the id that the webhook gave it, or would have.
func TestABodyFromTheQuarantineBecomesTheEventItWouldHaveBeen(t *testing.T) {
	body := `{"event":"visitor_arrived","date":"2026-11-18T21:42:31.000Z","data":{"firstName":"Ada","id":"pass-1"}}`
	r := newRig(t, func(c *Config) {
		c.Integrations[0].Events = map[string]visit.Kind{"visitor_arrived": visit.KindCheckedIn}
	})
	r.post("/sine/lobby", body)
	var at string
	for _, m := range r.broker.published {
		at = m.ID
	}
	if _, err := newReader(t, nil).Event(kept(body)); err == nil || !strings.Contains(err.Error(), "still not understood: unknown_event") {
		t.Errorf("without the name: %v", err)
	}
	named := newReader(t, func(in *Integration) { in.Events = map[string]visit.Kind{"visitor_arrived": visit.KindCheckedIn} })
	e, err := named.Event(kept(body))
	if err != nil {
		t.Fatal(err)
	}
	if e.ID != at || e.ID == "" || e.Kind != visit.KindCheckedIn || e.Site != "hq" || e.Person.FirstName != "Ada" ||
		!e.Received.Equal(kept("").Received) || e.RequestID != kept("").RequestID || string(e.Source) != body {
		t.Errorf("became %+v, want the id %s", e, at)
	}
}

func TestWhatHasNoDateIsRecognisedWhenItIsSubmittedAgain(t *testing.T) {
	q := kept(`{"event":"signin_after","data":{"firstName":"Ada"}}`)
	q.Synthetic = true
	first, err := newReader(t, nil).Event(q)
	if err != nil {
		t.Fatal(err)
	}
	second, err := newReader(t, nil).Event(q)
	if err != nil || first.ID != second.ID || !first.Synthetic || first.TimeBasis != visit.TimeReceived {
		t.Errorf("%+v and %+v, %v", first, second, err)
	}
	q.RequestID = "another call"
	if other, err := newReader(t, nil).Event(q); err != nil || other.ID == first.ID {
		t.Errorf("another call got the same id: %v", err)
	}
}

func TestTheURLOfTheCallStillCounts(t *testing.T) {
	q := kept(`{"event":"unheard_of","data":{"firstName":"Ada"}}`)
	q.Kind = visit.KindCheckedOut
	if e, err := newReader(t, nil).Event(q); err != nil || e.Kind != visit.KindCheckedOut {
		t.Errorf("%+v %v", e, err)
	}
}

func TestARefusedEventIsReadAsItWas(t *testing.T) {
	event := visit.Event{ID: "00112233", Kind: visit.KindCheckedOut, Origin: visit.Origin{Site: "hq", Integration: "gone", Visit: visit.NewVisitKey("v")}, Source: visit.Source(`{"a": 1}`)}
	m, err := event.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	q := kept(string(m.Data))
	q.Reason, q.EventID, q.Integration = visit.ReasonRefused, "00112233", "gone"
	e, err := newReader(t, nil).Event(q)
	if err != nil || e.ID != event.ID || string(e.Source) != `{"a": 1}` || e.Visit != event.Visit {
		t.Errorf("%+v %v", e, err)
	}
	q.EventID = "44556677"
	if _, err := newReader(t, nil).Event(q); err == nil {
		t.Error("an event of another id than its headers' was read")
	}
}

func TestWhatIsNoEventStaysInTheQuarantine(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*visit.Quarantined)
		body   string
		want   string
	}{
		"not JSON":               {body: "Zmark", want: "still not understood: not_json"},
		"a question":             {body: `{"event":"signin_before","data":{"firstName":"Zmark"}}`, want: ErrQuestion.Error()},
		"too deep":               {body: strings.Repeat("[", 99), want: "too_deep"},
		"an unknown integration": {body: `{}`, change: func(q *visit.Quarantined) { q.Integration = "attic" }, want: "no integration attic"},
		"no event":               {body: "Zmark", change: func(q *visit.Quarantined) { q.Reason = visit.ReasonRefused }, want: "not the event"},
		"a cut body":             {body: `{"event":"signin_after","data":{"firstName":"Zmark"}}  `, change: func(q *visit.Quarantined) { q.Reason, q.Cut = visit.ReasonTooLarge, true }, want: ErrCut.Error()},
		"half a body":            {body: `{"event":"signin_after","data":{"firstName":"Zm`, change: func(q *visit.Quarantined) { q.Reason, q.Cut = visit.ReasonIncomplete, true }, want: "not_json"},
	} {
		q := kept(c.body)
		if c.change != nil {
			c.change(&q)
		}
		_, err := newReader(t, nil).Event(q)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Zm") {
			t.Errorf("%s: %v", name, err)
		}
		if errors.Is(err, ErrQuestion) != (name == "a question") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
