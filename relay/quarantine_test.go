package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// cutAt is the limit of these tests.
const cutAt = 1000

// tooLong is a rig that reads cutAt bytes, and lets in whom it cannot read.
func tooLong(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	return newRig(t, append([]func(*Config){func(cfg *Config) {
		cfg.Limits.Body = cutAt
		cfg.Integrations[0].Policy.Fallbacks = map[policy.Situation]policy.Fallback{policy.Unreadable: {Verdict: visit.Accept, VisitorText: "Welcome"}}
	}}, change...)...)
}

// Nobody is told 200 for an event of which only the beginning was kept, and nobody
// who may be a visitor is let in by it.
func TestQuarantine_ABodyThatIsTooLargeIsAnsweredByItsBeginning(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat("x", 2*cutAt)
	data := `"data":{"firstName":"` + filler + `"}`
	for _, c := range []struct {
		name, path, body string
		status           int
		code             string
		kind             string
	}{
		{"a check-in", "", `{"event":"signin_after",` + data + `}`, 413, "TOO_LARGE", "checked_in"},
		{"a check-out", "", `{"date":"d","event":"signout_after",` + data + `}`, 413, "TOO_LARGE", "checked_out"},
		{"a check-in request", "", `{"event":"signin_before",` + data + `}`, 200, "SUCCESS", "check_in_request"},
		{"a check-in request in a wrapping", "", `{"payload":{"event":"signin_before",` + data + `}}`, 200, "SUCCESS", "check_in_request"},
		{"a check-in in another wrapping", "", `{"x":[1,{}],"body":{"event":"Sign-In_After",` + data + `}}`, 413, "TOO_LARGE", "checked_in"},
		{"a wrapping beside the pass", "", `{"body":{"event":"signin_before"},"event":"signin_after",` + data + `}`, 413, "TOO_LARGE", "checked_in"},
		{"a pass before the event's name", "", `{` + data + `,"event":"signin_before"}`, 413, "REJECTED", unknown},
		{"a name within the pass", "", `{"data":{"event":"signin_before","firstName":"` + filler + `"}}`, 413, "REJECTED", unknown},
		{"a name within a list", "", `[{"event":"signin_before",` + data + `}]`, 413, "REJECTED", unknown},
		{"half a name", "", `{"x":"` + filler[:cutAt-24] + `","event":"signin_before"` + filler + `}`, 413, "REJECTED", unknown},
		{"a name that is no text", "", `{"event":["signin_before"],` + data + `}`, 413, "REJECTED", unknown},
		{"an unknown event", "", `{"event":"coffee_break",` + data + `}`, 413, "REJECTED", unknown},
		{"what is too deep", "", strings.Repeat(`{"body":`, 40) + `{"event":"signin_before",` + data, 413, "REJECTED", unknown},
		{"no JSON", "", filler, 413, "REJECTED", unknown},
		{"nothing but blanks", "", strings.Repeat(" ", 2*cutAt) + `{"event":"signin_before"}`, 413, "REJECTED", unknown},
		{"an event's URL", "/check-in-success", `{"event":"signin_before",` + data + `}`, 413, "TOO_LARGE", "checked_in"},
		{"a check-in request's URL", "/check-in-request", filler, 200, "SUCCESS", "check_in_request"},
	} {
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, length announced: %v", c.name, announced), func(t *testing.T) {
				r := tooLong(t)
				w := r.post("/sine/lobby"+c.path, c.body, func(req *http.Request) {
					if !announced {
						req.ContentLength = -1
					}
				})
				var told struct{ Code, Message, AdminNotes string }
				if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || w.Code != c.status || told.Code != c.code {
					t.Errorf("answered %d %s, want %d %s", w.Code, w.Body, c.status, c.code)
				}
				if reference := visit.Reference(w.Header().Get(visit.HeaderRequestID)); told.Code == "REJECTED" && (!strings.Contains(told.Message, reference) || !strings.Contains(told.AdminNotes, reference)) {
					t.Errorf("a visitor reads %q, the administrator %q", told.Message, told.AdminNotes)
				}
				if r.results(c.kind, resultTooLarge) != 1 || r.settledAs(resultQuarantined) != 1 {
					t.Errorf("not counted as a quarantined %s", c.kind)
				}
				if n := len(r.broker.published); n != 1 {
					t.Fatalf("%d messages", n)
				}
				m := r.broker.published[0]
				q, err := visit.ParseQuarantined(m.Subject, m.Header, m.Data)
				if err != nil || q.Reason != visit.ReasonTooLarge || string(q.Body) != c.body[:cutAt] || m.Header[visit.HeaderCut] == nil {
					t.Errorf("quarantined as %s, %d bytes, %v, %v", q.Reason, len(q.Body), m.Header, err)
				}
				if want := int64(len(c.body)); (q.ContentLength == want) != announced || q.Kind != pinnedKinds[strings.TrimPrefix(c.path, "/")] {
					t.Errorf("%d bytes announced, pinned as %q", q.ContentLength, q.Kind)
				}
			})
		}
	}
}

// One event of several would be stored, and the others would be lost with a 200.
func TestQuarantine_ABodyOfSeveralEventsIsKept(t *testing.T) {
	t.Parallel()
	f, problems := fields.Compile(fields.Spec{Places: map[fields.Field][]string{fields.Wrapper: {"/*"}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, path := range []string{"/sine/lobby", "/sine/lobby/check-in-success"} {
		r := newRig(t, func(cfg *Config) { cfg.Integrations[0].Fields = f })
		w := r.post(path, `[{"event":"signin_after","data":{"firstName":"Ada"}},{"event":"signin_after","data":{"firstName":"Bob"}}]`)
		if q := r.quarantined(t); w.Code != http.StatusBadRequest || q.Reason != visit.ReasonUnknownEvent {
			t.Errorf("%s: answered %d, kept as %s", path, w.Code, q.Reason)
		}
	}
	r := newRig(t, func(cfg *Config) { cfg.Integrations[0].Fields = f })
	if asked, code := r.askedAbout(`[{"event":"signin_before","data":{"firstName":"Ada"}},{"event":"signin_before","data":{"firstName":"Bob"}}]`); asked || code != "REJECTED" {
		t.Errorf("two check-in requests: asked %v, answered %s", asked, code)
	}
}

func TestBody_OfExactlyTheLimitIsRead(t *testing.T) {
	t.Parallel()
	r := tooLong(t)
	body := checkedIn + strings.Repeat(" ", cutAt-len(checkedIn))
	for _, length := range []int64{cutAt, -1} {
		if w := r.post("/sine/lobby", body, func(req *http.Request) { req.ContentLength = length }); w.Code != 200 || !strings.Contains(w.Body.String(), "eventId") {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
}

// An operator's order holds for those whose call cannot be read.
func TestQuarantine_OrdersHoldForBodiesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	r := tooLong(t)
	body := strings.Repeat("x", 2*cutAt)
	r.orders.give(visit.Order{Kind: visit.OrderLockdown, Site: "hq", Message: "Gas leak"})
	if w := r.post("/sine/lobby", body); w.Code != 413 || !strings.Contains(w.Body.String(), "Gas leak") {
		t.Errorf("during a lockdown: %d %s", w.Code, w.Body)
	}
	r.orders.give(visit.Order{Kind: visit.OrderOverride, Site: "hq", Until: time.Now().Add(time.Hour)})
	if w := r.post("/sine/lobby", body); w.Code != 413 || !strings.Contains(w.Body.String(), "REJECTED") {
		t.Errorf("during an override, where it may be an event: %d %s", w.Code, w.Body)
	}
}

// What cannot be kept is refused all the same, and a visitor answered.
func TestQuarantine_ABodyThatIsTooLargeAndCannotBeKept(t *testing.T) {
	t.Parallel()
	r := tooLong(t)
	r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
		return visit.Receipt{}, visit.ErrStreamFull
	}
	for event, want := range map[string]int{"signin_before": 200, "signin_after": 413, "coffee": 413} {
		body := `{"event":"` + event + `","x":"` + strings.Repeat("x", 2*cutAt)
		if w := r.post("/sine/lobby", body); w.Code != want {
			t.Errorf("%s: answered %d %s", event, w.Code, w.Body)
		}
	}
	if r.settledAs(resultRefused) != 3 {
		t.Error("the ledger does not say so")
	}
}

// Memory for the beginning is reserved as for any body until it is stored.
func TestQuarantine_TheBeginningOfABodyTakesMemory(t *testing.T) {
	t.Parallel()
	r := tooLong(t)
	held := int64(0)
	r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
		held = r.limiter.bodies.Taken()
		return visit.Receipt{}, nil
	}
	r.post("/sine/lobby", strings.Repeat("x", 100*cutAt))
	if held != BodyCost(cutAt) || r.limiter.bodies.Taken() != 0 {
		t.Errorf("%d bytes are held, want %d, and %d after it", held, BodyCost(cutAt), r.limiter.bodies.Taken())
	}
}

// A caller that sends everything before it reads gets the answer; one that never
// ends, or stops sending, gets it in time.
func TestQuarantine_TheResponseToALargeBodyCanBeRead(t *testing.T) {
	t.Parallel()
	const large = 3 << 20
	header := func(field string) string {
		return "POST /sine/lobby HTTP/1.1\r\nHost: relay\r\nX-Sine-Auth: " + testKey + "\r\n" + field + "\r\n\r\n"
	}
	body := `{"event":"signin_after","x":"` + strings.Repeat("x", large)
	for _, c := range []struct {
		name string
		send func(net.Conn) error
	}{
		{"that is announced", func(conn net.Conn) error {
			_, err := io.WriteString(conn, header(fmt.Sprintf("Content-Length: %d", len(body)))+body)
			return err
		}},
		{"that comes in pieces", func(conn net.Conn) error {
			_, err := fmt.Fprintf(conn, "%s%x\r\n%s\r\n0\r\n\r\n", header("Transfer-Encoding: chunked"), len(body), body)
			return err
		}},
		{"that stops halfway", func(conn net.Conn) error {
			_, err := io.WriteString(conn, header(fmt.Sprintf("Content-Length: %d", len(body)))+body[:large/2])
			return err
		}},
		{"that never ends", func(conn net.Conn) error {
			go func() {
				fmt.Fprint(conn, header("Content-Length: 100000000000")+body)
				for {
					if _, err := io.WriteString(conn, body); err != nil {
						return
					}
				}
			}()
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := tooLong(t)
			conn := send(t, r.serve(t), "")
			start := time.Now()
			if err := c.send(conn); err != nil {
				t.Fatalf("the connection broke while it was sent: %v", err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); answer.StatusCode != 413 || took > timeout/2 {
				t.Errorf("answered %d after %s", answer.StatusCode, took)
			}
			eventually(t, "a result", func() bool { return r.results("checked_in", resultTooLarge) == 1 })
		})
	}
}

func newReader(t *testing.T, change func(*Integration)) *Reader {
	t.Helper()
	in := Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("first", testKey)}}
	if change != nil {
		change(&in)
	}
	r, err := NewReader(testIntegrations(in), testLimits)
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
func TestReader_ABodyBecomesTheEventThatItWouldHaveBeen(t *testing.T) {
	t.Parallel()
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

func TestReader_WhatHasNoDateIsRecognisedWhenItIsSubmittedAgain(t *testing.T) {
	t.Parallel()
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

func TestReader_TheURLOfTheRequestStillCounts(t *testing.T) {
	t.Parallel()
	q := kept(`{"event":"unheard_of","data":{"firstName":"Ada"}}`)
	q.Kind = visit.KindCheckedOut
	if e, err := newReader(t, nil).Event(q); err != nil || e.Kind != visit.KindCheckedOut {
		t.Errorf("%+v %v", e, err)
	}
}

func TestReader_ARefusedEventIsReadAsItWas(t *testing.T) {
	t.Parallel()
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

func TestReader_WhatIsNotAnEventStaysInTheQuarantine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*visit.Quarantined)
		body   string
		want   string
	}{
		"not JSON":               {body: "Zmark", want: "still not understood: not_json"},
		"a question":             {body: `{"event":"signin_before","data":{"firstName":"Zmark"}}`, want: ErrCheckInRequest.Error()},
		"too deep":               {body: strings.Repeat("[", 99), want: "too_deep"},
		"an unknown integration": {body: `{}`, change: func(q *visit.Quarantined) { q.Integration = "attic" }, want: "integration attic is not configured"},
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
		if errors.Is(err, ErrCheckInRequest) != (name == "a question") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
