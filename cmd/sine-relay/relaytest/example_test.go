package relaytest_test

import (
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/relaytest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// t stands for the argument of a test here.
var t testing.TB

// A decider and a relay in one test.
func ExampleStart() {
	r := relaytest.Start(t)
	r.Decide(decide)
	response := r.CheckIn(subscribertest.NoCompany())
	if response.Record.Verdict != visit.Reject {
		t.Errorf("decided %+v, and Sine got %s", response.Record, response.Body)
	}
}

// The rules of an integration, at night.
func ExampleStart_integrations() {
	night := time.Date(2026, 12, 25, 3, 0, 0, 0, time.UTC)
	r := relaytest.Start(t, relaytest.Clock(func() time.Time { return night }), relaytest.Integrations(`
integrations:
  - name: default
    site: hq
    timeZone: UTC
    deciders: [{name: night-porter, condition: time < "06:00"}]
    fallbacks: {no_decider: {decision: accept, adminNote: "The night porter is away."}}
`))
	v := subscribertest.Visitor()
	v.TimeZone = "UTC"
	if got := r.CheckIn(v).Record; got.Situation != visit.SituationNoDecider || got.Verdict != visit.Accept {
		t.Errorf("decided %+v", got)
	}
}

// What a visitor reads during a lockdown.
func ExampleRelay_Lockdown() {
	r := relaytest.Start(t)
	lift := r.Lockdown("hq")
	locked := r.CheckIn(subscribertest.Visitor())
	lift()
	t.Logf("%s", locked.Body)
}
