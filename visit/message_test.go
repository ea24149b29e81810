package visit_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var trace = visit.NewTrace("2f1f0c8e-5b8a-4d8f-9b57-0f4d6d1c7a11", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")

func fullOrigin() visit.Origin {
	return visit.Origin{
		RequestID: "K7Q2M3456789ABCDEFGH", Trace: trace, Site: "hq", Integration: "lobby", ExternalID: "HQ-7",
		Time: time.Date(2026, 11, 18, 21, 42, 31, 0, time.UTC), TimeBasis: visit.TimeFromSine, TimeZone: "Australia/Adelaide",
		Received: time.Date(2026, 11, 18, 21, 42, 32, 5e6, time.UTC),
		Visit:    visit.NewVisitKey("0f8b6f0e-44c8"), Synthetic: true,
	}
}

func fullPass() visit.Pass {
	return visit.Pass{
		Person:      visit.Person{ID: "4711", FirstName: "Ada", LastName: "<L>", Email: "ada@example.com", Mobile: "+61 4", PhotoURL: "https://images.example.com/a.jpg"},
		Company:     "A & B",
		Host:        &visit.Host{FirstName: "Dominic", LastName: "F", Group: "Planning"},
		VisitorType: "Contractor",
		FormAnswers: []visit.FormAnswer{{Label: "Why?", Value: "Because"}, {Value: ""}},
	}
}

// The golden files are the wire format. A change here breaks other teams'
// programs: it must only ever add.
func TestWireFormat_OfMessagesIsFrozen(t *testing.T) {
	source := visit.Source(" {\"event\":\"x\",\n \"big\":1844674407370955161599, \"html\":\"<&>\"}\n")
	event := visit.Event{ID: "00112233445566778899aabbccddeeff", Kind: visit.KindCheckedOut, Origin: fullOrigin(), Pass: fullPass(), Cause: visit.CauseExpired, Missing: []string{"host.group"}, Source: source}
	request := visit.CheckInRequest{Origin: fullOrigin(), Pass: fullPass(), Missing: []string{"person.email", "company"}, Source: source}
	bare := visit.Event{ID: "ffeeddccbbaa99887766554433221100", Kind: visit.KindCheckedIn, Origin: visit.Origin{
		RequestID: "K7Q2M3456789ABCDEFGH", Site: "hq", Integration: "lobby",
		Time: event.Received, TimeBasis: visit.TimeReceived, Received: event.Received, Visit: visit.NewVisitKey(""),
	}}
	correction := event
	if err := correction.Correct(&event); err != nil {
		t.Fatal(err)
	}
	decision := visit.Decision{
		Verdict: visit.Reject, VisitorText: "No", AdminNote: "n", Decider: "watchlist", Version: "1.2.3",
		Pass: map[string]json.RawMessage{"zone": json.RawMessage(`"B"`)},
	}
	record := visit.Record{
		RequestID: "K7Q2M3456789ABCDEFGH", Reference: "K7Q2M", Trace: trace, Site: "hq", Integration: "lobby", ExternalID: "HQ-7", Received: event.Received,
		Visit: visit.NewVisitKey("0f8b6f0e-44c8"), Verdict: visit.Reject, Situation: "decided", Rule: "all: watchlist rejected", Missing: []string{"company"}, Decider: "watchlist",
		TookMs: 12.5, Policy: "0123456789ab", Votes: []visit.Vote{
			{Decider: "watchlist", Version: "1.2.3", Situation: "decided", Verdict: visit.Reject, TookMs: 12.1},
			{Decider: "induction", Situation: "unasked"},
			{Decider: "next", Shadow: true, Situation: "timeout", TookMs: 2500},
		},
		Order: &visit.OrderNote{Kind: visit.OrderLockdown, By: "ops", Since: event.Received},
	}
	audit := visit.Audit{
		ID: "M3456789ABCDEFGHK7Q2", Time: event.Received, Action: visit.ActionReveal, Site: visit.AllSites, Subject: event.ID,
		User: "ann@example.com", Role: "reception",
	}
	for name, write := range map[string]func() ([]byte, error){
		"record.json": func() ([]byte, error) { return json.Marshal(record) },
		"record-message.json": func() ([]byte, error) {
			m, err := record.Message(visit.Subjects{})
			return describe(m), err
		},
		"audit.json": func() ([]byte, error) { return json.Marshal(audit) },
		"audit-message.json": func() ([]byte, error) {
			m, err := audit.Message(visit.Subjects{})
			return describe(m), err
		},
		"event.json":      func() ([]byte, error) { return visit.MarshalEvent(&event) },
		"event-bare.json": func() ([]byte, error) { return visit.MarshalEvent(&bare) },
		"request.json":    func() ([]byte, error) { return visit.MarshalCheckInRequest(&request) },
		"decision.json":   func() ([]byte, error) { return json.Marshal(decision) },
		"correction.json": func() ([]byte, error) { return visit.MarshalEvent(&correction) },
		"correction-message.json": func() ([]byte, error) {
			m, err := correction.Message(visit.Subjects{})
			return describe(m), err
		},
		"event-message.json": func() ([]byte, error) {
			m, err := event.Message(visit.Subjects{})
			return describe(m), err
		},
		"request-message.json": func() ([]byte, error) {
			m, err := request.Message(visit.Subjects{Prefix: "acme.visitors"}, "watchlist")
			return describe(m), err
		},
		"quarantine-message.json": func() ([]byte, error) {
			q := visit.Quarantined{
				RequestID: "K7Q2M3456789ABCDEFGH", Trace: trace, Site: "hq", Integration: "lobby", Reason: visit.ReasonNotJSON,
				Kind: visit.KindCheckedIn, Received: event.Received, Body: []byte("hello"),
			}
			return describe(q.Message(visit.Subjects{})), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := write()
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, "testdata/"+name, got)
		})
	}
}

func describe(m visit.Message) []byte {
	out, err := json.MarshalIndent(struct {
		Root    visit.Root
		Subject string
		ID      string
		Header  map[string][]string
	}{m.Root, m.Subject, m.ID, m.Header}, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(out, '\n')
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s; -update rewrites it.\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

func TestSource_RoundTripsByteForByte(t *testing.T) {
	for _, source := range []string{
		`{}`, ` {"a": 1}`, "{\"a\":1}\r\n\t ", "\n{ \"source\" : {\"source\":1} }\n", `{"a":"\u003c<"}`,
		`{"n":0.1000000000000000055511151231257827}`, `"text"`, `7`, ` null `, `[1, 2]`,
	} {
		e := visit.Event{ID: "1", Kind: visit.KindCheckedIn, Source: visit.Source(source)}
		data, err := visit.MarshalEvent(&e)
		if err != nil || !json.Valid(data) {
			t.Fatalf("%q: %v %s", source, err, data)
		}
		var back visit.Event
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if string(back.Source) != source {
			t.Errorf("%q came back as %q", source, back.Source)
		}
		r := visit.CheckInRequest{Source: visit.Source(source)}
		data, err = visit.MarshalCheckInRequest(&r)
		if err != nil {
			t.Fatal(err)
		}
		var asked visit.CheckInRequest
		if err := json.Unmarshal(data, &asked); err != nil || string(asked.Source) != source {
			t.Errorf("request: %q came back as %q, %v", source, asked.Source, err)
		}
	}
}

func TestEvent_OfAnotherWriterIsRead(t *testing.T) {
	for name, data := range map[string]string{
		"source is not last":     `{"source":{"a":1},"id":"1","kind":"checked_in"}`,
		"source is absent":       `{"id":"1","kind":"checked_in"}`,
		"fields of a later v1":   `{"id":"1","kind":"checked_in","added":{"x":[1]},"source":{"a":1}}`,
		"white space everywhere": "{ \"id\" : \"1\" , \"kind\" : \"checked_in\" , \"source\" : {\"a\":1} }",
	} {
		var e visit.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil || e.ID != "1" {
			t.Errorf("%s: %v %+v", name, err, e)
		}
		if s := strings.TrimSpace(string(e.Source)); s != "" && s != `{"a":1}` {
			t.Errorf("%s: source %q", name, s)
		}
	}
}

func TestEvent_AnInvalidOneIsRefused(t *testing.T) {
	for _, data := range []string{`[]`, `{"time":"yesterday"}`, `{"id":7}`} {
		var e visit.Event
		if err := json.Unmarshal([]byte(data), &e); err == nil {
			t.Errorf("%s was read as %+v", data, e)
		}
	}
}
