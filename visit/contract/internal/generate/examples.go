package main

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// example is a message as a subscriber, a decider or a relay gets it. Payload is its
// body where that is JSON, else its text.
type example struct {
	Name    string            `json:"name"`
	Summary string            `json:"summary"`
	Subject string            `json:"subject,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Payload json.RawMessage   `json:"payload"`
}

var (
	happened = time.Date(2026, 11, 18, 21, 42, 31, 0, time.UTC)
	received = time.Date(2026, 11, 18, 21, 42, 32, 5e6, time.UTC)
)

// The people in the examples are invented.
func exampleOrigin() visit.Origin {
	return visit.Origin{
		RequestID: "K7Q2M3456789ABCDEFGH", Site: "hq", Integration: "lobby",
		Trace: visit.NewTrace("2f1f0c8e-5b8a-4d8f-9b57-0f4d6d1c7a11", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
		Time:  happened, TimeBasis: visit.TimeFromSine, TimeZone: "Australia/Adelaide", Received: received,
		Visit: visit.NewVisitKey("0f8b6f0e-44c8"),
	}
}

// leastOrigin is that of a webhook that says nothing but which it is.
func leastOrigin() visit.Origin {
	return visit.Origin{
		RequestID: "N5RTW23456789ABCDEFG", Site: "hq", Integration: "lobby", Time: received, TimeBasis: visit.TimeReceived,
		TimeZone: "UTC", Received: received, Visit: visit.NewVisitKey(""),
	}
}

func examplePass() visit.Pass {
	return visit.Pass{
		Person:      visit.Person{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com", Mobile: "+61 400 000 000", PhotoURL: "https://images.example.com/ada.jpg"},
		Company:     "Analytical Engines",
		Host:        &visit.Host{FirstName: "Dominic", LastName: "Fairfax", Group: "Planning"},
		VisitorType: "Contractor",
		FormAnswers: []visit.FormAnswer{{Label: "Have you read the safety rules?", Value: "Yes"}},
	}
}

// examples are those of every schema, by its name.
func examples() (map[string][]example, error) {
	b := exampleBuilder{all: map[string][]example{}}
	b.requests()
	b.events()
	b.records()
	b.quarantined()
	b.audits()
	b.plain("decision", "accept", "The visitor may come in, and gets a text and a field on the pass.", visit.Decision{
		Verdict: visit.Accept, VisitorText: "Welcome, Ada.", Pass: map[string]json.RawMessage{"zone": json.RawMessage(`"B"`)}, Decider: "watchlist", Version: "1.2.3",
	})
	b.plain("decision", "reject", "The visitor may not come in.", visit.Decision{
		Verdict: visit.Reject, VisitorText: "Please see reception.", AdminNote: "On the watchlist.", Decider: "watchlist", Version: "1.2.3",
	})
	b.plain("order", "lockdown", "Nobody is let in anywhere, until it is lifted.", visit.Order{
		Kind: visit.OrderLockdown, Site: visit.AllSites, Message: "Please leave the building.", By: "ann", User: "operator", Account: "OPERATORS", ID: "7Q2M3456789ABCDEFGHK", Since: received,
	})
	b.plain("order", "override", "Everybody is let in for an hour.", visit.Order{
		Kind: visit.OrderOverride, Site: "hq", Reason: "The watchlist does not answer.", By: "bob", User: "operator", Account: "OPERATORS", ID: "2M3456789ABCDEFGHK7Q", Since: received, Until: received.Add(time.Hour),
	})
	b.plain("lift", "lift", "The lockdown ends.", visit.Lift{
		Kind: visit.OrderLockdown, Site: visit.AllSites, Lifts: "7Q2M3456789ABCDEFGHK", Reason: "A false alarm.", By: "ann", User: "operator", Account: "OPERATORS", Since: received.Add(time.Hour),
	})
	return b.all, b.err
}

type exampleBuilder struct {
	all map[string][]example
	err error // the first
}

func (b *exampleBuilder) add(of, name, summary string, m visit.Message, err error) {
	if b.err == nil {
		b.err = err
	}
	e := example{Name: name, Summary: summary, Subject: m.Subject, Payload: m.Data}
	if len(m.Header) > 0 {
		e.Headers = map[string]string{}
		for name, values := range m.Header {
			e.Headers[name] = strings.Join(values, "")
		}
	}
	b.all[of] = append(b.all[of], e)
}

func (b *exampleBuilder) plain(of, name, summary string, v any) {
	data, err := json.Marshal(v)
	b.add(of, name, summary, visit.Message{Data: data}, err)
}

func (b *exampleBuilder) requests() {
	full := visit.CheckInRequest{Origin: exampleOrigin(), Pass: examplePass(), Source: visit.Source(`{"event":"signin_before"}`)}
	full.FormAnswers = nil // they come after the pass
	least := visit.CheckInRequest{Origin: leastOrigin(), Pass: visit.Pass{Person: visit.Person{FirstName: "Ada"}}}
	for _, r := range []struct {
		name, summary, attempt string
		of                     visit.CheckInRequest
	}{
		{"first", "A visitor waits.", "", full},
		{"again", "The same request a second time, in a site that collects first names only.", "2", least},
	} {
		m, err := r.of.Message(visit.Subjects{}, "watchlist")
		// The broker adds these when it sends the request.
		m.Header[visit.HeaderTimeout] = []string{"2480"}
		if r.attempt != "" {
			m.Header[visit.HeaderTimeout], m.Header[visit.HeaderAttempt] = []string{"1240"}, []string{r.attempt}
		}
		b.add("check-in-request", r.name, r.summary, m, err)
	}
}

func (b *exampleBuilder) events() {
	left := examplePass()
	left.FormAnswers = nil
	test := leastOrigin()
	test.Synthetic = true
	for _, e := range []struct {
		name, summary string
		of            visit.Event
	}{
		{"checked-in", "A pass was issued.", visit.Event{
			ID: "5a0c5a2f3b1e4c0d8f7e6d5c4b3a2910", Kind: visit.KindCheckedIn, Origin: exampleOrigin(), Pass: examplePass(), Source: visit.Source(`{"event":"signin_after"}`)}},
		{"expired", "The pass ran out: the visitor may still be inside.", visit.Event{
			ID: "00112233445566778899aabbccddeeff", Kind: visit.KindCheckedOut, Origin: exampleOrigin(), Pass: left, Cause: visit.CauseExpired, Source: visit.Source(`{"event":"signout_after"}`)}},
		{"synthetic", "An operator's test with nothing in it that may be absent.", visit.Event{
			ID: "ffeeddccbbaa99887766554433221100", Kind: visit.KindCheckedIn, Origin: test}},
	} {
		m, err := e.of.Message(visit.Subjects{})
		b.add("event", e.name, e.summary, m, err)
	}
}

func (b *exampleBuilder) records() {
	o := exampleOrigin()
	decided := visit.Record{
		RequestID: o.RequestID, Reference: visit.Reference(o.RequestID), Trace: o.Trace, Site: o.Site, Integration: o.Integration, Received: o.Received,
		Visit: o.Visit, Verdict: visit.Reject, Situation: "decided", Rule: "all: watchlist rejected", Decider: "watchlist",
		TookMs: 12.5, Policy: "0123456789ab", Votes: []visit.Vote{
			{Decider: "watchlist", Version: "1.2.3", Situation: "decided", Verdict: visit.Reject, TookMs: 12.1},
			{Decider: "induction", Situation: "unasked"},
			{Decider: "watchlist-next", Shadow: true, Situation: "timeout", TookMs: 2500},
		},
	}
	o = leastOrigin()
	ordered := visit.Record{
		RequestID: o.RequestID, Reference: visit.Reference(o.RequestID), Site: o.Site, Integration: o.Integration, Received: o.Received,
		Visit: o.Visit, Verdict: visit.Reject, Situation: "lockdown", Rule: "rejected by lockdown of every site", TookMs: 0.4, Policy: "0123456789ab",
		Order: &visit.OrderNote{Kind: visit.OrderLockdown, ID: "7Q2M3456789ABCDEFGHK", By: "ann", User: "operator", Account: "OPERATORS", Since: received},
	}
	for _, r := range []struct {
		name, summary string
		of            visit.Record
	}{
		{"decided", "A decider rejected.", decided},
		{"ordered", "A standing order was the reason.", ordered},
	} {
		m, err := r.of.Message(visit.Subjects{})
		b.add("decision-record", r.name, r.summary, m, err)
	}
}

func (b *exampleBuilder) audits() {
	for _, a := range []struct {
		name, summary string
		of            visit.Audit
	}{
		{"reveal", "The names of a visitor were shown.", visit.Audit{
			ID: "M3456789ABCDEFGHK7Q2", Time: received, Action: visit.ActionReveal, Site: "hq", Subject: "5a0c5a2f3b1e4c0d8f7e6d5c4b3a2910", User: "ann@example.com", Role: "reception"}},
		{"lockdown", "Every site was locked.", visit.Audit{
			ID: "3456789ABCDEFGHK7Q2M", Time: received, Action: visit.ActionLockdown, Site: visit.AllSites, Subject: "7Q2M3456789ABCDEFGHK", User: "bob@example.com", Role: "operator"}},
	} {
		m, err := a.of.Message(visit.Subjects{})
		b.add("audit", a.name, a.summary, m, err)
	}
}

func (b *exampleBuilder) quarantined() {
	o := exampleOrigin()
	q := visit.Quarantined{
		RequestID: o.RequestID, Trace: o.Trace, Site: o.Site, Integration: o.Integration, Reason: visit.ReasonIncomplete,
		Kind: visit.KindCheckedIn, Received: received, TimeZone: "Australia/Adelaide", Cut: true, ContentLength: 1500, Body: []byte(`{"event":"signin_af`),
	}
	m := q.Message(visit.Subjects{})
	text, err := json.Marshal(string(m.Data))
	m.Data = text
	b.add("quarantined", "incomplete", "The end of the body was not received.", m, err)

	q = visit.Quarantined{
		RequestID: o.RequestID, Site: o.Site, Integration: o.Integration, Reason: visit.ReasonRefused, Received: received,
		EventID: "00112233445566778899aabbccddeeff", RefusedSubject: visit.Subjects{}.Event("hq", visit.KindCheckedIn), Body: []byte("{}"),
	}
	b.add("quarantined", "refused", "The stream refused the event.", q.Message(visit.Subjects{}), nil)
}
