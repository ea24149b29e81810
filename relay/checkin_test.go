package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// behaviours are what the deciders of a test do, by the last part of the subject.
type behaviours map[string]func(context.Context) (visit.Decision, error)

func (b behaviours) ask(ctx context.Context, m visit.Message) (visit.Decision, error) {
	return b[m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]](ctx)
}

func says(verdict visit.Verdict, text string) func(context.Context) (visit.Decision, error) {
	return func(context.Context) (visit.Decision, error) {
		return visit.Decision{Verdict: verdict, VisitorText: text, Version: "1.2.3"}, nil
	}
}

// stalls answers nothing until its time is over.
func stalls(ctx context.Context) (visit.Decision, error) {
	<-ctx.Done()
	return visit.Decision{}, visit.ErrTimeout
}

func vanishes(context.Context) (visit.Decision, error) {
	return visit.Decision{}, visit.ErrDisconnected
}

// record is that of the call which got the answer.
func (r *rig) record(t *testing.T, answer *httptest.ResponseRecorder) (rec visit.Record) {
	t.Helper()
	eventually(t, "the answer is recorded", func() bool {
		r.broker.mu.Lock()
		defer r.broker.mu.Unlock()
		for _, m := range r.broker.records {
			if m.ID == answer.Header().Get(visit.HeaderRequestID) {
				return json.Unmarshal(m.Data, &rec) == nil
			}
		}
		return false
	})
	return rec
}

func asking(c policy.Combination, budget time.Duration, deciders ...Decider) func(*Config) {
	return func(cfg *Config) {
		cfg.Integrations[0].Deciders, cfg.Integrations[0].Policy.Combination, cfg.Integrations[0].Budget = deciders, c, budget
	}
}

func TestCheckIn_SeveralDeciders(t *testing.T) {
	t.Parallel()
	const long = time.Minute // longer than the test waits: who is waited for would fail it
	a, b, shadow := Decider{Name: "a"}, Decider{Name: "b"}, Decider{Name: "shadow", Shadow: true}
	lenient := Decider{Name: "b", Fallbacks: map[policy.Situation]policy.Fallback{policy.Timeout: {Verdict: visit.Accept}}}
	for _, c := range []struct {
		name     string
		setup    func(*Config)
		deciders behaviours
		want     string
		result   result
	}{
		{"all accept", asking(policy.All, long, a, b), behaviours{"a": says(visit.Accept, "one"), "b": says(visit.Accept, "two")}, `"visitorNotes":"one"`, resultAccepted},
		{"one rejects while another stalls", asking(policy.All, long, a, b), behaviours{"a": stalls, "b": says(visit.Reject, "no")}, `"message":"no"`, resultRejected},
		{"one accepts while another stalls", asking(policy.Any, long, a, b), behaviours{"a": stalls, "b": says(visit.Accept, "hi")}, `"visitorNotes":"hi"`, resultAccepted},
		{"one vanishes", asking(policy.All, long, a, b), behaviours{"a": vanishes, "b": says(visit.Accept, "hi")}, `REJECTED`, situationResult(policy.Disconnected)},
		{"one stalls and may", asking(policy.All, time.Second, a, lenient), behaviours{"a": says(visit.Accept, "hi"), "b": stalls}, `"visitorNotes":"hi"`, situationResult(policy.Timeout)},
		{"nobody waits for a shadow", asking(policy.All, long, a, shadow), behaviours{"a": says(visit.Accept, "hi"), "shadow": stalls}, `"visitorNotes":"hi"`, resultAccepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.setup, func(cfg *Config) { cfg.Limits.WriteTimeout = 2 * long })
			r.broker.ask = c.deciders.ask
			answered := make(chan string, 1)
			go func() { answered <- r.post("/sine/lobby", checkInBody).Body.String() }()
			select {
			case body := <-answered:
				if !strings.Contains(body, c.want) {
					t.Errorf("answered %s, want %s", body, c.want)
				}
			case <-time.After(timeout):
				t.Fatal("somebody was waited for")
			}
			if n := r.results(string(visit.KindCheckInRequest), c.result); n != 1 {
				t.Errorf("not counted as %s", c.result)
			}
		})
	}
}

func TestCheckIn_ADeciderIsAskedWhenItsConditionHolds(t *testing.T) {
	t.Parallel()
	contractors, err := condition.Compile(`company == "Bexley Rigging Pty Ltd"`)
	if err != nil {
		t.Fatal(err)
	}
	failing, err := condition.Compile(`answers["not there"] == "x"`)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, asking(policy.All, time.Second, Decider{Name: "a", Condition: contractors}, Decider{Name: "b", Condition: failing}))
	deciders := behaviours{"a": says(visit.Reject, "a says no"), "b": says(visit.Accept, "")}
	r.broker.ask = deciders.ask
	if body := r.post("/sine/lobby", `{"event":"signin_before","data":{"firstName":"Ada","company":"Bexley Rigging Pty Ltd"}}`).Body.String(); !strings.Contains(body, "a says no") {
		t.Errorf("the condition holds: %s", body)
	}
	if body := r.post("/sine/lobby", `{"event":"signin_before","data":{"firstName":"Ada","company":"Another"}}`).Body.String(); !strings.Contains(body, "SUCCESS") {
		t.Errorf("the condition does not hold: %s", body)
	}
	if metrics := string(gather(t, r)); !strings.Contains(metrics, `sine_relay_decider_condition_errors_total{decider="b",integration="lobby"} 2`) {
		t.Error("a condition that cannot be told is not counted")
	}
}

// An answer that did not come, or came in another shape than is known, must not
// keep a decider from being asked.
func TestCheckIn_ADeciderIsAskedWhereFormAnswersAreMissing(t *testing.T) {
	t.Parallel()
	escorted, err := condition.Compile(`"Escorted?" in answers && answers["Escorted?"] == "no"`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, data    string
		asked, failed bool
	}{
		{"the answer", `"formResponses":{"responses":[{"label":"Escorted?","value":"no"}]}`, true, false},
		{"another answer to it", `"formResponses":{"responses":[{"label":"Escorted?","value":"yes"}]}`, false, false},
		{"answers to other questions", `"formResponses":{"responses":[{"label":"Inducted?","value":"yes"}]}`, false, false},
		{"no form", `"company":"Acme"`, true, true},
		{"no responses", `"formResponses":{}`, true, true},
		{"null", `"formResponses":null`, true, true},
		{"an empty list", `"formResponses":{"responses":[]}`, true, true},
		{"an object in place of the list", `"formResponses":{"responses":{"Escorted?":"no"}}`, true, false},
		{"a text in place of the list", `"formResponses":{"responses":"Escorted? no"}`, true, true},
		{"a list in place of the form", `"formResponses":[{"label":"Escorted?","value":"no"}]`, true, true},
		{"answers by other names", `"formResponses":{"responses":[{"question":"Escorted?","answer":"no"}]}`, true, false},
		{"answers without labels", `"formResponses":{"responses":[{"q":"Escorted?","value":"no"}]}`, true, true},
		{"labels that are no texts", `"formResponses":{"responses":[{"label":{"en":"Escorted?"},"value":"no"}]}`, true, true},
		{"answers without values", `"formResponses":{"responses":[{"label":"Escorted?","a":"no"}]}`, true, true},
		{"one answer of another shape", `"formResponses":{"responses":[{"label":"Inducted?","value":"yes"},{"q":"Escorted?","a":"no"}]}`, true, true},
		{"one answer that is no object", `"formResponses":{"responses":[{"label":"Inducted?","value":"yes"},"Escorted?"]}`, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, asking(policy.All, time.Second, Decider{Name: "a", Condition: escorted}))
			r.broker.ask = behaviours{"a": says(visit.Reject, "a says no")}.ask
			body := r.post("/sine/lobby", `{"event":"signin_before","data":{"firstName":"Ada",`+c.data+`}}`).Body.String()
			if asked := strings.Contains(body, "a says no"); asked != c.asked {
				t.Errorf("answered %s", body)
			}
			failed := strings.Contains(string(gather(t, r)), `sine_relay_decider_condition_errors_total{decider="a",integration="lobby"} 1`)
			if failed != c.failed {
				t.Errorf("counted as a condition that failed: %v", failed)
			}
		})
	}
}

func TestRecord_NamesWhoDecided(t *testing.T) {
	t.Parallel()
	r := newRig(t, asking(policy.All, time.Second, Decider{Name: "a"}, Decider{Name: "b"}, Decider{Name: "s", Shadow: true}), func(c *Config) {
		c.Integrations[0].PolicyVersion = "v7"
	})
	deciders := behaviours{"a": says(visit.Accept, "Zmark-text"), "b": says(visit.Reject, "Zmark-no"), "s": func(context.Context) (visit.Decision, error) {
		return visit.Decision{Verdict: visit.Accept, Version: "Zmark was here, not a version"}, nil
	}}
	r.broker.ask = deciders.ask
	w := r.post("/sine/lobby", strings.ReplaceAll(checkInBody, "Ada", "Zmark"))
	rec := r.record(t, w)
	if rec.RequestID != w.Header().Get(visit.HeaderRequestID) || rec.Reference != visit.Reference(rec.RequestID) || rec.Site != "hq" || rec.Integration != "lobby" ||
		rec.Verdict != visit.Reject || rec.Situation != "decided" || rec.Decider != "b" || rec.Fallback || rec.Rule != "all: b rejected" || rec.Policy != "v7" || len(rec.Votes) != 3 {
		t.Errorf("%+v", rec)
	}
	if v := rec.Votes[1]; v.Decider != "b" || v.Verdict != visit.Reject || v.Version != "1.2.3" {
		t.Errorf("%+v", v)
	}
	if v := rec.Votes[2]; !v.Shadow || v.Verdict != visit.Accept || v.Version != "" {
		t.Errorf("%+v", v)
	}
	r.broker.mu.Lock()
	message := fmt.Sprintf("%+v %s", r.broker.records[0], r.broker.records[0].Data)
	r.broker.mu.Unlock()
	if strings.Contains(message, "Zmark") || !strings.Contains(message, "visitors.v1.decision.hq.rejected") {
		t.Errorf("the record: %s", message)
	}
	eventually(t, "the shadow's disagreement is counted", func() bool {
		return strings.Contains(string(gather(t, r)), `sine_relay_decider_shadow_decisions_total{agreement="differs",decider="s",integration="lobby"} 1`)
	})
}

func TestCheckIn_OrdersAreObeyedWithoutAskingAnybody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
		t.Error("a decider was asked")
		return visit.Decision{Verdict: visit.Accept}, nil
	}
	lock := visit.Order{Kind: visit.OrderLockdown, Site: "hq", Message: "Gas leak", By: "ops"}
	over := visit.Order{Kind: visit.OrderOverride, Site: visit.AllSites, Reason: "sick", Until: time.Now().Add(time.Hour)}
	r.orders.give(over)
	if body := r.post("/sine/lobby", checkInBody).Body.String(); !strings.Contains(body, "SUCCESS") {
		t.Errorf("under an override: %s", body)
	}
	r.orders.give(over, lock)
	w := r.post("/sine/lobby", checkInBody)
	if body := w.Body.String(); !strings.Contains(body, "REJECTED") || !strings.Contains(body, "Gas leak") {
		t.Errorf("under a lockdown: %s", body)
	}
	if rec := r.record(t, w); rec.Order == nil || rec.Order.By != "ops" || rec.Situation != "lockdown" || rec.Verdict != visit.Reject {
		t.Errorf("%+v", rec)
	}
	if w := r.post("/sine/lobby", "no json"); !strings.Contains(w.Body.String(), "Gas leak") {
		t.Errorf("what cannot be read, under a lockdown: %s", w.Body.String())
	}
	if w := r.post("/sine/lobby", checkedIn); w.Code != http.StatusOK {
		t.Errorf("an event: %d", w.Code)
	}
}

func TestCheckIn_WhileTheOrdersAreUnknownNobodyIsLetInWithoutADecider(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) {
		c.Integrations[0].Policy.Fallbacks = map[policy.Situation]policy.Fallback{policy.NoDecider: {Verdict: visit.Accept}}
	})
	r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
		return visit.Decision{}, visit.ErrNoDecider
	}
	if body := r.post("/sine/lobby", checkInBody).Body.String(); !strings.Contains(body, "SUCCESS") {
		t.Errorf("with known orders: %s", body)
	}
	r.orders.unknown = true
	if body := r.post("/sine/lobby", checkInBody).Body.String(); !strings.Contains(body, "REJECTED") {
		t.Errorf("with unknown orders: %s", body)
	}
	r.broker.ask = nil
	if body := r.post("/sine/lobby", checkInBody).Body.String(); !strings.Contains(body, "SUCCESS") {
		t.Errorf("by a decider: %s", body)
	}
}

// A record that cannot be stored costs the visitor nothing.
func TestRecord_NeverDelaysTheResponse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	blocked := make(chan struct{})
	r.Relay.recorder.publisher = publisherFunc(func(ctx context.Context, m visit.Message) (visit.Receipt, error) {
		<-blocked
		return visit.Receipt{}, visit.ErrTimeout
	})
	if w := r.post("/sine/lobby", checkInBody); w.Code != 200 {
		t.Errorf("answered %d", w.Code)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	r.Flush(ended) // gives up with its context
	close(blocked)
	r.Flush(context.Background())
	if metrics := string(gather(t, r)); !strings.Contains(metrics, `sine_relay_decision_records_total{result="failed"} 1`) {
		t.Error("the loss is not counted")
	}
	r.post("/sine/lobby", checkInBody)
	if metrics := string(gather(t, r)); !strings.Contains(metrics, `sine_relay_decision_records_total{result="dropped"} 1`) {
		t.Error("a record after the end is not counted")
	}
}

type publisherFunc func(context.Context, visit.Message) (visit.Receipt, error)

func (f publisherFunc) Publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	return f(ctx, m)
}

const visitorWaits = `{"event":"signin_before","date":"2026-11-18T12:00:00Z","data":{"firstName":"Ada","lastName":"Lovelace"}}`

func TestCheckIn_OrdersAreUnknown(t *testing.T) {
	t.Parallel()
	lockdown := visit.Order{Kind: visit.OrderLockdown, Site: "hq", Message: "Gas leak", Since: time.Now()}
	override := visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "x", Since: time.Now(), Until: time.Now().Add(time.Hour)}
	nobody := func(r *rig) {
		r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
			return visit.Decision{}, visit.ErrNoDecider
		}
	}
	for name, c := range map[string]struct {
		strict bool
		orders []visit.Order
		change func(*rig)
		want   string
		result string
	}{
		"a decider's own acceptance counts":         {false, nil, nil, "SUCCESS", "accepted"},
		"or it does not":                            {true, nil, nil, "REJECTED", "orders_unknown"},
		"an old lockdown holds":                     {false, []visit.Order{lockdown}, nil, "Gas leak", "lockdown"},
		"an old override lets nobody in":            {false, []visit.Order{override}, nobody, "REJECTED", "no_decider"},
		"an old override gives way to the deciders": {false, []visit.Order{override}, nil, "SUCCESS", "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) { cfg.StrictOrders = c.strict })
			r.orders.unknown = true
			r.orders.give(c.orders...)
			if c.change != nil {
				c.change(r)
			}
			if body := r.post("/sine/lobby", visitorWaits).Body.String(); !strings.Contains(body, c.want) {
				t.Errorf("answered %s", body)
			}
			if !strings.Contains(r.log.String(), `"result":"`+c.result+`"`) {
				t.Errorf("the result is not %s:\n%s", c.result, r.log)
			}
		})
	}
}

// The record says who gave the order that decided, as NATS knows it.
func TestRecord_NamesTheOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.orders.give(visit.Order{Kind: visit.OrderLockdown, Site: "hq", Reason: "Zreason", By: "ada", User: "operator", Account: "VISITORS", ID: "X1", Since: time.Now()})
	r.post("/sine/lobby", visitorWaits)
	r.Flush(t.Context())
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	var rec visit.Record
	if len(r.broker.records) != 1 || json.Unmarshal(r.broker.records[0].Data, &rec) != nil || rec.Order == nil {
		t.Fatalf("records: %v", r.broker.records)
	}
	if o := rec.Order; o.ID != "X1" || o.User != "operator" || o.Account != "VISITORS" || o.By != "ada" {
		t.Errorf("%+v", o)
	}
	if strings.Contains(string(r.broker.records[0].Data), "Zreason") {
		t.Error("the record has a text")
	}
}

// What is found where nobody said that it is must not keep a decider from being asked.
func TestCheckIn_AGuessSatisfiesNoCondition(t *testing.T) {
	t.Parallel()
	elsewhere := fields.Spec{Places: map[fields.Field][]string{fields.Company: {"/data/organisation"}, fields.VisitorType: {"/data/category"}}}
	for name, c := range map[string]struct {
		spec      fields.Spec
		condition string
		body      string
		expects   string
		asked     bool
	}{
		"company":             {elsewhere, `company == "Denied"`, `"firstName":"Ada","company":"Customer","organisation_name":"Denied"`, "", true},
		"company, expected":   {elsewhere, `company == "Denied"`, `"firstName":"Ada","company":"Customer","organisation_name":"Denied"`, "company", false},
		"type":                {elsewhere, `visitorType == "Contractor"`, `"firstName":"Ada","passType":"Guest"`, "", true},
		"whole name":          {fields.Spec{}, `lastName == "Lovelace"`, `"fullName":"Ada Lovelace"`, "", true},
		"where it was looked": {elsewhere, `company == "Customer"`, `"firstName":"Ada","organisation":"Customer"`, "company", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			when, err := condition.Compile(c.condition)
			if err != nil {
				t.Fatal(err)
			}
			places, problems := fields.Compile(c.spec)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			decider := Decider{Name: "watchlist", Condition: when}
			if c.expects != "" {
				e, err := fields.ParseExpectation(c.expects)
				if err != nil {
					t.Fatal(err)
				}
				decider.Expects = []fields.Expectation{e}
			}
			r := newRig(t, asking(policy.All, time.Second, decider), func(cfg *Config) { cfg.Integrations[0].Fields = places })
			var asked atomic.Bool
			r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
				asked.Store(true)
				return visit.Decision{Verdict: visit.Reject}, nil
			}
			if body := r.post("/sine/lobby", `{"event":"signin_before","data":{`+c.body+`}}`).Body.String(); !strings.Contains(body, "REJECTED") {
				t.Errorf("answered %s", body)
			}
			if got := asked.Load(); got != c.asked {
				t.Errorf("asked: %v", got)
			}
		})
	}
}
