package visit_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sine-relay/sine-relay/visit"
)

// An event is read with encoding/json. Its ID is the same for every delivery: store
// it, and skip an event whose ID is known.
func ExampleEvent() {
	payload := []byte(`{
		"id": "00112233445566778899aabbccddeeff", "kind": "checked_in", "requestId": "K7Q2M3456789ABCDEFGH",
		"site": "hq", "integration": "lobby",
		"time": "2026-11-18T21:42:31Z", "timeBasis": "sine", "timeZone": "Australia/Adelaide", "received": "2026-11-18T21:42:32.005Z",
		"visit": {"value": "0f8b6f0e-44c8", "basis": "sine-id"},
		"person": {"firstName": "Ada", "lastName": "Lovelace"}, "company": "Analytical Engines"
	}`)
	var e visit.Event
	if err := json.Unmarshal(payload, &e); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Kind, e.Site, e.Person.LastName, e.Company)
	fmt.Println("same visit as", e.Visit.Value)
	// Output:
	// checked_in hq Lovelace Analytical Engines
	// same visit as 0f8b6f0e-44c8
}

// What Sine sent and the relay does not know is in Source, byte for byte.
func ExampleEvent_source() {
	payload := []byte(`{"id": "1", "kind": "checked_out", "source": {"badge": 1844674407370955161599}}`)
	var e visit.Event
	if err := json.Unmarshal(payload, &e); err != nil {
		fmt.Println(err)
		return
	}
	var sent struct{ Badge json.Number }
	if err := json.Unmarshal(e.Source, &sent); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sent.Badge)
	// Output: 1844674407370955161599
}

// A program that keeps state has one entry for an event and its corrections, and takes
// over what supersedes it. In which order they come does not matter.
func ExampleEvent_Supersedes() {
	entries := map[string]visit.Event{}
	handle := func(e visit.Event) {
		known, found := entries[e.OriginalID()]
		if !found || e.Supersedes(&known) {
			entries[e.OriginalID()] = e
		}
	}
	for _, payload := range []string{
		`{"id": "c2", "kind": "checked_in", "corrects": "e1", "revision": 2, "company": "Contoso"}`,
		`{"id": "e1", "kind": "checked_in"}`,
		`{"id": "c1", "kind": "checked_in", "corrects": "e1", "revision": 1, "company": "Contosso"}`,
	} {
		var e visit.Event
		if err := json.Unmarshal([]byte(payload), &e); err != nil {
			fmt.Println(err)
			return
		}
		handle(e)
	}
	fmt.Println(len(entries), entries["e1"].Company)
	// Output: 1 Contoso
}

// Opening hours are compared in the site's time zone, never in that of the program.
func ExampleOrigin_LocalTime() {
	var r visit.CheckInRequest
	payload := []byte(`{"time": "2026-11-18T21:42:31Z", "timeZone": "Australia/Adelaide", "person": {}}`)
	if err := json.Unmarshal(payload, &r); err != nil {
		fmt.Println(err)
		return
	}
	local, err := r.LocalTime()
	fmt.Println(local.Format("Monday 15:04"), err)

	_, err = visit.Origin{}.LocalTime()
	fmt.Println(errors.Is(err, visit.ErrNoTimeZone))
	// Output:
	// Thursday 08:12 <nil>
	// true
}

// A decider reads a check-in request and replies with a decision. Package subscriber
// does the rest: it receives, replies in time and is shown by NATS discovery.
func ExampleCheckInRequest() {
	decide := func(payload []byte) ([]byte, error) {
		var r visit.CheckInRequest
		if err := json.Unmarshal(payload, &r); err != nil {
			return nil, err
		}
		d := visit.Decision{Verdict: visit.Accept, Decider: "watchlist"}
		if r.Company == "Contoso" {
			d.Verdict, d.VisitorText = visit.Reject, "Please see reception."
		}
		return json.Marshal(d)
	}
	reply, err := decide([]byte(`{"requestId": "K7Q2M3456789ABCDEFGH", "site": "hq", "person": {"firstName": "Ada"}, "company": "Contoso"}`))
	fmt.Println(string(reply), err)
	// Output: {"decision":"reject","visitorText":"Please see reception.","decider":"watchlist"} <nil>
}

// A test of a decider in another language can read its replies as the relay does.
func ExampleParseDecision() {
	for _, reply := range []string{
		`{"decision": "accept", "pass": {"wifi": "guest"}}`,
		`{"decision": "reject", "visitorText": 7}`, // a readable rejection is a rejection
		`{"accepted": true}`,
	} {
		d, err := visit.ParseDecision([]byte(reply))
		fmt.Printf("%q %v\n", d.Verdict, err)
	}
	// Output:
	// "accept" <nil>
	// "reject" <nil>
	// "" invalid decision: the field "decision" is missing
}

// A quarantined message has its context in headers; the payload is what Sine sent.
func ExampleParseQuarantined() {
	q, err := visit.ParseQuarantined("visitors.v1.quarantine.hq", map[string][]string{
		visit.HeaderRequestID:   {"K7Q2M3456789ABCDEFGH"},
		visit.HeaderIntegration: {"lobby"},
		visit.HeaderReason:      {"not_json"},
		visit.HeaderReceived:    {"2026-11-18T21:42:32.005Z"},
	}, []byte("event=check-in"))
	fmt.Println(q.Site, q.Integration, q.Reason, len(q.Body), err)
	// Output: hq lobby not_json 14 <nil>
}

// Records of decisions are read with encoding/json. They hold no personal data.
func ExampleRecord() {
	payload := []byte(`{"requestId": "K7Q2M3456789ABCDEFGH", "reference": "K7Q2M", "site": "hq", "verdict": "reject",
		"situation": "timeout", "rule": "watchlist: fallback for timeout", "fallback": true, "tookMs": 2501.3}`)
	var r visit.Record
	if err := json.Unmarshal(payload, &r); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Reference, r.Verdict, r.Situation, r.Fallback)
	// Output: K7Q2M reject timeout true
}

// Filters for subscriptions: one kind at every site, and all events of one site.
func ExampleSubjects() {
	var s visit.Subjects
	fmt.Println(s.Event("*", visit.KindCheckedOut))
	fmt.Println(s.Events("hq"))
	fmt.Println(s.All(visit.RootDecision))
	// Output:
	// visitors.v1.event.*.checked_out
	// visitors.v1.event.hq.>
	// visitors.v1.decision.>
}

// The reference is what a visitor reads out to reception.
func ExampleReference() {
	fmt.Println(visit.Reference("K7Q2M3456789ABCDEFGH"))
	// Output: K7Q2M
}
