package relay

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

func TestNew_NamesEveryInvalidIntegration(t *testing.T) {
	t.Parallel()
	key := []Key{NewKey("k", testKey)}
	_, err := New(Config{
		Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		Integrations: testIntegrations(
			Integration{Name: "Head Office", Keys: key},
			Integration{Name: "gate", Keys: key, Site: "a.b"},
			Integration{Name: "dock", Keys: key, Deciders: []Decider{{Name: ">"}}},
			Integration{Name: "twice", Keys: key}, Integration{Name: "twice", Keys: key},
		),
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"Head Office" must match`, `site "a.b"`, `decider ">"`, `"twice" is configured twice`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func TestSuggestName_MakesANameOfTheDisplayName(t *testing.T) {
	t.Parallel()
	for display, want := range map[string]string{
		"Head Office":           "head-office",
		"  Tor 3 (Süd) ":        "tor-3-s-d",
		"lobby_north":           "lobby_north",
		"東京":                    "",
		strings.Repeat("x", 99): strings.Repeat("x", 64),
	} {
		if got := SuggestName(display); got != want {
			t.Errorf("%q: %q, want %q", display, got, want)
		}
	}
}

// inAText is JSON, written as a JSON text.
func inAText(body string) string {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// nobodies are values of the field data that say of nobody who it is.
var nobodies = map[string]string{
	"null":                  `null`,
	"a list":                `[]`,
	"a list of passes":      `[{"firstName":"Ada"}]`,
	"a number":              `7`,
	"false":                 `false`,
	"a text":                `"Ada"`,
	"a text of JSON null":   `"null"`,
	"a text that breaks":    `"{\"firstName\":\"Ada\""`,
	"a text that goes on":   inAText(`{"firstName":"Ada"} {}`),
	"a text too deep":       inAText(`{"firstName":"Ada","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`),
	"texts within texts":    inAText(inAText(inAText(inAText(`{"firstName":"Ada"}`)))),
	"nothing in it":         `{}`,
	"another's fields":      `{"contact":{"firstName":"Ada"}}`,
	"a company alone":       `{"company":"Bexley","host":{"firstName":"Dominic"}}`,
	"no more than an id":    `{"id":"p-1","passType":"Contractor"}`,
	"names of null":         `{"firstName":null,"lastName":null}`,
	"names of another type": `{"firstName":["Ada"],"lastName":7}`,
	"blank names":           `{"firstName":" \t","lastName":"\u00a0\u200b\u2060"}`,
	"an e-mail address":     `{"email":"ada@example.com"}`,
}

// askedAbout posts a check-in request and reports whether a decider was asked.
func (r *rig) askedAbout(body string) (asked bool, code string) {
	before := len(r.broker.asked)
	w := r.post("/sine/lobby", body)
	var told struct{ Code string }
	_ = json.Unmarshal(w.Body.Bytes(), &told)
	return len(r.broker.asked) > before, told.Code
}

// A decider that is asked about nobody has nothing against them.
func TestVisitor_NobodyIsAskedAboutAMissingOne(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{"absent": `{"event":"signin_before"}`}
	for name, data := range nobodies {
		bodies[name] = `{"event":"signin_before","data":` + data + `}`
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if asked, code := r.askedAbout(body); asked || code != "REJECTED" {
				t.Errorf("asked: %v, told %s", asked, code)
			}
			if r.results("check_in_request", situationResult(policy.Incomplete)) != 1 || r.unidentifiedIn() != 1 {
				t.Error("it is not counted as incomplete")
			}
			if !strings.Contains(r.log.String(), errIncomplete.Error()) {
				t.Errorf("the log does not say so: %s", r.log)
			}
			eventually(t, "a record", func() bool { return len(r.recorded()) == 1 })
			if rec := r.recorded()[0]; rec.Situation != "incomplete" || !rec.Fallback || rec.Verdict != visit.Reject {
				t.Errorf("recorded as %+v", rec)
			}
		})
	}
}

func (r *rig) unidentifiedIn() float64 {
	return testutil.ToFloat64(r.Relay.metrics.incomplete.WithLabelValues("lobby"))
}

func (r *rig) recorded() (all []visit.Record) {
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	for _, m := range r.broker.records {
		var rec visit.Record
		if json.Unmarshal(m.Data, &rec) == nil {
			all = append(all, rec)
		}
	}
	return all
}

// Where no condition of a decider holds, nobody objects: that must not let in
// somebody of whom nothing is known.
func TestVisitor_IsMissingBeforeConditionsAreEvaluated(t *testing.T) {
	t.Parallel()
	never, err := condition.Compile(`site == "elsewhere"`)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(cfg *Config) { cfg.Integrations[0].Deciders = []Decider{{Name: "watchlist", Condition: never}} })
	if _, code := r.askedAbout(checkInBody); code != "SUCCESS" {
		t.Errorf("a visitor whom no decider has a say about was told %s", code)
	}
	if _, code := r.askedAbout(`{"event":"signin_before","data":null}`); code != "REJECTED" {
		t.Errorf("nobody was told %s", code)
	}
}

func TestVisitor_WhatIdentifiesOneIsConfigured(t *testing.T) {
	t.Parallel()
	const byName, byMail, byPhone, nothing = `{"lastName":"L"}`, `{"email":"a@example.com"}`, `{"mobile":61400000000}`, `{}`
	for _, c := range []struct {
		name  string
		by    []string
		data  string
		asked bool
	}{
		{"a last name by default", nil, byName, true},
		{"an address by default", nil, byMail, false},
		{"an address", []string{"person.email"}, byMail, true},
		{"a name where the address counts", []string{"person.email"}, byName, false},
		{"a number, one of two", []string{"person|person.mobile"}, byPhone, true},
		{"neither of two", []string{"person|person.mobile"}, byMail, false},
		{"nothing is expected", []string{}, nothing, true},
		{"nothing is expected, and there is nothing", []string{}, "null", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) { cfg.Integrations[0].Expects = expectations(t, c.by) })
			if asked, _ := r.askedAbout(`{"event":"signin_before","data":` + c.data + `}`); asked != c.asked {
				t.Errorf("asked: %v", asked)
			}
		})
	}
}

// expectations keeps an empty list apart from none.
func expectations(t *testing.T, texts []string) (all []fields.Expectation) {
	t.Helper()
	if texts != nil {
		all = []fields.Expectation{}
	}
	for _, text := range texts {
		e, err := fields.ParseExpectation(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// The operator may choose otherwise, and an order stands above that.
func TestVisitor_TheFallbackForAMissingOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) {
		cfg.Integrations[0].Policy.Fallbacks = map[policy.Situation]policy.Fallback{policy.Incomplete: {Verdict: visit.Accept, VisitorText: "Come in"}}
	})
	const nobody = `{"event":"signin_before","data":null}`
	if w := r.post("/sine/lobby", nobody); !strings.Contains(w.Body.String(), "Come in") {
		t.Errorf("told %s", w.Body)
	}
	if run, err := r.DryRun(t.Context(), "lobby", []byte(nobody)); err != nil || run.Decision.Situation != policy.Incomplete {
		t.Errorf("a run: %+v %v", run, err)
	}
	r.orders.give(visit.Order{Kind: visit.OrderLockdown, Site: "hq", Message: "Gas leak"})
	if w := r.post("/sine/lobby", nobody); !strings.Contains(w.Body.String(), "Gas leak") {
		t.Errorf("in a lockdown told %s", w.Body)
	}
	r.orders.give()
	r.orders.mu.Lock()
	r.orders.unknown = true
	r.orders.mu.Unlock()
	if w := r.post("/sine/lobby", nobody); !strings.Contains(w.Body.String(), "REJECTED") {
		t.Errorf("while the orders are unknown told %s", w.Body)
	}
}

// Whoever it was is checked in: an event of nobody is an event.
func TestVisitor_AnEventWithoutOneIsStoredAndCounted(t *testing.T) {
	t.Parallel()
	for name, data := range nobodies {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			w := r.post("/sine/lobby", `{"event":"signin_after","data":`+data+`}`)
			if w.Code != 200 || r.settledAs(resultStored) != 1 || !strings.Contains(string(r.broker.published[0].Data), data+"}") {
				t.Errorf("told %d %s", w.Code, w.Body)
			}
			if r.unidentifiedIn() != 1 || !strings.Contains(r.log.String(), errIncomplete.Error()) {
				t.Errorf("it is not seen: %s", r.log)
			}
		})
	}
	r := newRig(t)
	if r.post("/sine/lobby", checkedIn); r.unidentifiedIn() != 0 {
		t.Error("an event of somebody is counted")
	}
}

// Programs that build JSON out of JSON send the inner one as a text.
func TestDecode_AJSONTextIsRead(t *testing.T) {
	t.Parallel()
	const data = `{"firstName":"Ada \"A\"","id":"p-1"}`
	const event = `"event":"signin_before","date":"2026-11-18T21:42:07Z"`
	bodies := map[string]string{
		"as the data":               `{` + event + `,"data":` + inAText(data) + `}`,
		"with blanks and a mark":    `{` + event + `,"data":` + inAText("\ufeff \n"+data+"\n") + `}`,
		"twice over":                `{` + event + `,"data":` + inAText(inAText(data)) + `}`,
		"as the whole":              inAText(`{` + event + `,"data":` + data + `}`),
		"as the whole, with blanks": " " + inAText(` {`+event+`,"data":`+data+`} `) + "\r\n",
		"as the whole and the data": inAText(`{` + event + `,"data":` + inAText(data) + `}`),
		"in a payload":              `{"payload":` + inAText(`{`+event+`,"data":`+data+`}`) + `}`,
		"in a body, and its data":   `{"body":` + inAText(`{`+event+`,"data":`+inAText(data)+`}`) + `}`,
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if asked, code := r.askedAbout(body); !asked || code != "SUCCESS" {
				t.Fatalf("asked: %v, told %s", asked, code)
			}
			m := r.broker.asked[0]
			var q visit.CheckInRequest
			if err := json.Unmarshal(m.Data, &q); err != nil || q.Person.FirstName != `Ada "A"` || q.Visit.Value != "p-1" || q.TimeBasis != visit.TimeFromSine {
				t.Errorf("asked about %+v, %v", q, err)
			}
			if string(q.Source) != body {
				t.Errorf("the source is %s", q.Source)
			}
			event := strings.ReplaceAll(body, "signin_before", "signin_after")
			if r.post("/sine/lobby", event); r.settledAs(resultStored) != 1 || !strings.HasSuffix(string(r.broker.published[0].Data), `,"source":`+event+`}`) {
				t.Error("the event is not stored as it came")
			}
			if r.unidentifiedIn() != 0 {
				t.Error("it is counted as nobody's")
			}
		})
	}
}

// What is sent in no form that Sine is known to use is nobody's pass either.
func TestDecode_AFormIsUnreadable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if asked, code := r.askedAbout("payload=%7B%22event%22%3A%22signin_before%22%7D"); asked || code != "REJECTED" || r.settledAs(resultQuarantined) != 1 {
		t.Errorf("asked: %v, told %s", asked, code)
	}
}
