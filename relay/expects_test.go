package relay

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	withCompany    = `{"event":"signin_before","data":{"firstName":"Ada","company":"Acme"}}`
	withoutCompany = `{"event":"signin_before","data":{"firstName":"Ada","organisation":"Acme"}}`
)

// A decider that goes by the company is not asked about a visitor whose company was not
// found, and one that takes all requests is.
func TestExpects_ADeciderIsAskedWhereItsExpectationsAreMet(t *testing.T) {
	t.Parallel()
	company, nothing := expectations(t, []string{"company"}), []fields.Expectation{}
	never, err := condition.Compile(`site == "elsewhere"`)
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := condition.Compile(`company == "Denied"`)
	if err != nil {
		t.Fatal(err)
	}
	accept := map[policy.Situation]policy.Fallback{policy.Incomplete: {Verdict: visit.Accept}}
	for _, c := range []struct {
		name     string
		expects  []fields.Expectation
		deciders []Decider
		body     string
		asked    string
		verdict  visit.Verdict
		missing  string
	}{
		{"met", company, []Decider{{Name: "a"}}, withCompany, "a", visit.Accept, ""},
		{"the integration's are not met", company, []Decider{{Name: "a"}}, withoutCompany, "", visit.Reject, "company"},
		{"a decider's are not met", nil, []Decider{{Name: "a"}, {Name: "b", Expects: company}}, withoutCompany, "a", visit.Reject, "company"},
		{"a decider's are not met, and its fallback accepts", nil, []Decider{{Name: "a"}, {Name: "b", Expects: company, Fallbacks: accept}}, withoutCompany, "a", visit.Accept, "company"},
		{"a decider takes incomplete requests", company, []Decider{{Name: "a", Expects: nothing}}, withoutCompany, "a", visit.Accept, "company"},
		{"one of two does", company, []Decider{{Name: "a", Expects: nothing}, {Name: "b"}}, withoutCompany, "a", visit.Reject, "company"},
		{"one does that is not asked about the visitor", company, []Decider{{Name: "a", Expects: nothing, Condition: never}, {Name: "b", Condition: never}}, withoutCompany, "", visit.Reject, "company"},
		{"a shadow does", company, []Decider{{Name: "a", Expects: nothing, Shadow: true}, {Name: "b"}}, withoutCompany, "a", visit.Reject, "company"},
		{"a shadow alone is asked about the visitor", company, []Decider{{Name: "a", Expects: nothing, Shadow: true}, {Name: "b", Condition: never}}, withoutCompany, "a", visit.Reject, "company"},
		{"a shadow's are not met", nil, []Decider{{Name: "a"}, {Name: "b", Expects: company, Shadow: true}}, withoutCompany, "a", visit.Accept, ""},
		{"a shadow's are not met, and nobody else has a say", nil, []Decider{{Name: "a", Condition: never}, {Name: "b", Expects: company, Shadow: true}}, withoutCompany, "", visit.Accept, ""},
		{"a condition on what is missing", nil, []Decider{{Name: "a", Expects: company, Condition: unknown}}, withoutCompany, "", visit.Reject, "company"},
		{"a condition that does not hold", nil, []Decider{{Name: "a"}, {Name: "b", Expects: company, Condition: never}}, withoutCompany, "a", visit.Accept, ""},
		{"nobody at all", nil, []Decider{{Name: "a", Expects: company}}, `{"event":"signin_before","data":null}`, "", visit.Reject, "person.firstName person.lastName company"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, asking(policy.All, time.Second, c.deciders...), func(cfg *Config) { cfg.Integrations[0].Expects = c.expects })
			code := map[visit.Verdict]string{visit.Accept: "SUCCESS", visit.Reject: "REJECTED"}[c.verdict]
			if text := r.post("/sine/lobby", c.body).Body.String(); !strings.Contains(text, code) {
				t.Errorf("answered %s, want %s", text, code)
			}
			eventually(t, "a record", func() bool { return len(r.recorded()) == 1 })
			var asked []string
			for _, m := range r.broker.asked {
				asked = append(asked, m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])
			}
			if strings.Join(asked, " ") != c.asked {
				t.Errorf("%q were asked, want %q", asked, c.asked)
			}
			rec := r.recorded()[0]
			if strings.Join(rec.Missing, " ") != c.missing || rec.Verdict != c.verdict {
				t.Errorf("recorded as %+v", rec)
			}
			if run, err := r.DryRun(t.Context(), "lobby", []byte(c.body)); err != nil || run.Decision.Verdict != c.verdict {
				t.Errorf("a run: %+v %v", run, err)
			}
		})
	}
}

// The vote of a decider that was not asked for that reason is in the record, and a request
// that another takes says what is missing.
func TestExpects_IsInRecordAndRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, asking(policy.All, time.Second, Decider{Name: "a", Expects: []fields.Expectation{}}, Decider{Name: "b"}), func(cfg *Config) {
		cfg.Integrations[0].Expects = expectations(t, []string{"company|person.email"})
	})
	r.post("/sine/lobby", withoutCompany)
	eventually(t, "a record", func() bool { return len(r.recorded()) == 1 })
	votes := r.recorded()[0].Votes
	if len(votes) != 2 || votes[1].Situation != "incomplete" || votes[1].Verdict != visit.Reject || !votes[1].Fallback {
		t.Errorf("%+v", votes)
	}
	var request visit.CheckInRequest
	if err := json.Unmarshal(r.broker.asked[0].Data, &request); err != nil || !slices.Equal(request.Missing, []string{"company", "person.email"}) {
		t.Errorf("asked with %v, %v", request.Missing, err)
	}
	if n := testutil.ToFloat64(r.Relay.metrics.incomplete.WithLabelValues("lobby")); n != 1 {
		t.Errorf("counted %v times", n)
	}
}

func TestExpects_AnEventIsStoredAndMarked(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) { cfg.Integrations[0].Expects = expectations(t, []string{"person", "company"}) })
	r.post("/sine/lobby", `{"event":"signin_after","data":{"firstName":"Ada"}}`)
	r.post("/sine/lobby", `{"event":"signin_after","data":{"firstName":"Ada","company":"Acme"}}`)
	for i, want := range []string{"company", ""} {
		var e visit.Event
		if err := json.Unmarshal(r.broker.published[i].Data, &e); err != nil || strings.Join(e.Missing, " ") != want {
			t.Errorf("event %d lacks %v, want %q; %v", i, e.Missing, want, err)
		}
	}
	if !strings.Contains(r.log.String(), `"err":"the body lacks what is expected: company"`) || r.settledAs(resultStored) != 2 {
		t.Errorf("the log is\n%s", r.log)
	}
}

// A field that the configuration names places for is not taken from a guess, where it is
// what lets somebody in.
func TestExpects_IsNotMetByAGuess(t *testing.T) {
	t.Parallel()
	f, problems := fields.Compile(fields.Spec{Places: map[fields.Field][]string{fields.Company: {"/data/org"}, fields.LastName: {"/data/family"}, fields.FirstName: {"/data/given"}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		expects []string
		body    string
		asked   bool
	}{
		{[]string{"company"}, `{"data":{"org":"Acme","lastName":"L"}}`, true},
		{[]string{"company"}, `{"data":{"company":"Acme","lastName":"L"}}`, false},
		{[]string{"person"}, `{"data":{"lastName":"L"}}`, false},
		{nil, `{"data":{"lastName":"L"}}`, false}, // which is [person]
		{[]string{}, `{"data":{"lastName":"L"}}`, true},
	} {
		r := newRig(t, func(cfg *Config) {
			cfg.Integrations[0].Fields, cfg.Integrations[0].Expects = f, expectations(t, c.expects)
		})
		if asked, _ := r.askedAbout(strings.Replace(c.body, "{", `{"event":"signin_before",`, 1)); asked != c.asked {
			t.Errorf("%v of %s: asked %v", c.expects, c.body, asked)
		}
	}
}

func TestExternalID_TravelsAndADifferenceIsCounted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, configured, sent, want string
		mismatches                   float64
	}{
		{"configured", "HQ-7", ``, "HQ-7", 0},
		{"configured and sent", "HQ-7", `"externalId":"HQ-7",`, "HQ-7", 0},
		{"sent alone", "", `"external_id":7,`, "7", 0},
		{"another was sent", "HQ-7", `"externalId":"HQ-8",`, "HQ-7", 2},
		{"neither", "", `"externalId":null,`, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) { cfg.Integrations[0].ExternalID = c.configured })
			r.post("/sine/lobby", `{`+c.sent+`"event":"signin_before","data":{"firstName":"Ada"}}`)
			r.post("/sine/lobby", `{`+c.sent+`"event":"signin_after","data":{"firstName":"Ada"}}`)
			eventually(t, "a record", func() bool { return len(r.recorded()) == 1 })
			for _, m := range []visit.Message{r.broker.asked[0], r.broker.published[0]} {
				var origin visit.Origin
				if err := json.Unmarshal(m.Data, &origin); err != nil || origin.ExternalID != c.want {
					t.Errorf("%s has %q, want %q; %v", m.Subject, origin.ExternalID, c.want, err)
				}
			}
			// What a body says never gets into a record: it could be anything.
			if got := r.recorded()[0].ExternalID; got != c.configured {
				t.Errorf("the record has %q", got)
			}
			if n := testutil.ToFloat64(r.Relay.metrics.externalIDMismatches.WithLabelValues("lobby")); n != c.mismatches || strings.Contains(r.log.String(), errExternalID.Error()) != (n > 0) {
				t.Errorf("%v differences are counted", n)
			}
			if strings.Contains(r.log.String(), "HQ-8") {
				t.Error("the log has what was sent")
			}
		})
	}
}
