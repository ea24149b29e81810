package relaytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/relaytest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

func TestMain(m *testing.M) { wait.Main(m) }

// decide rejects whoever has no company.
func decide(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
	if visit.IsBlank(q.Company) {
		return visit.Decision{Verdict: visit.Reject, VisitorText: "Please see reception."}, nil
	}
	return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome!"}, nil
}

// It runs before those that are parallel, and the least of several counts: the machine may
// be busy.
func TestStart_TakesLittleTime(t *testing.T) {
	least := time.Hour
	for range 3 {
		began := time.Now()
		relaytest.Start(t)
		least = min(least, time.Since(began))
	}
	if least > 10*300*time.Millisecond {
		t.Errorf("it took %s", least)
	}
	t.Logf("the fastest of three took %s", least)
}

func TestRelay_AsksTheDecider(t *testing.T) {
	t.Parallel()
	r := relaytest.Start(t)
	if got := r.CheckIn(subscribertest.Visitor()); got.Record.Situation != "no_decider" || got.Record.Verdict != visit.Reject {
		t.Errorf("without a decider: %+v", got.Record)
	}
	r.Decide(decide)
	accepted, rejected := r.CheckIn(subscribertest.Visitor()), r.CheckIn(subscribertest.NoCompany())
	if accepted.Record.Verdict != visit.Accept || !strings.Contains(string(accepted.Body), `"visitorNotes":"Welcome!"`) || accepted.Status != http.StatusOK {
		t.Errorf("%s %+v", accepted.Body, accepted.Record)
	}
	if rejected.Record.Verdict != visit.Reject || rejected.Record.Decider != "default" || !strings.Contains(string(rejected.Body), "Please see reception.") {
		t.Errorf("%s %+v", rejected.Body, rejected.Record)
	}
}

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
			situation := "decided"
			switch {
			case errors.Is(err, visit.ErrTimeout):
				situation = "timeout"
			case errors.Is(err, visit.ErrBadReply):
				situation = "bad_reply"
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

func TestClock_IsThatOfConditions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 25, 3, 0, 0, 0, time.UTC)
	r := relaytest.Start(t, relaytest.Clock(func() time.Time { return now }), relaytest.Integrations(`
defaults: {timeZone: UTC}
integrations:
  - name: default
    site: hq
    deciders: [{name: night-porter, condition: time < "06:00"}]
`))
	r.DecideWith(subscriber.DeciderConfig{Decider: "night-porter"}, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		return visit.Decision{Verdict: visit.Reject}, nil
	})
	night := r.CheckIn(subscribertest.Visitor())
	now = now.Add(9 * time.Hour)
	noon := r.CheckIn(subscribertest.Visitor())
	if night.Record.Decider != "night-porter" || noon.Record.Situation != "unasked" || !noon.Record.Received.Equal(now) {
		t.Errorf("at night %+v, at noon %+v", night.Record, noon.Record)
	}
}

func TestIntegrations_HaveSitesAndFallbacksOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := relaytest.Start(t, relaytest.Setting("SINE_RELAY_DECISION_BUDGET", "200ms"), relaytest.Integrations(`
integrations:
  - {name: hq-lobby, site: hq}
  - {name: plant-gate, site: plant, fallbacks: {timeout: {decision: accept, visitorText: "Come in."}}}
`))
	r.Decide(func(ctx context.Context, _ visit.CheckInRequest) (visit.Decision, error) {
		<-ctx.Done()
		return visit.Decision{}, ctx.Err()
	})
	v := subscribertest.Visitor()
	for integration, want := range map[string]visit.Verdict{"hq-lobby": visit.Reject, "plant-gate": visit.Accept} {
		v.Integration = integration
		if got := r.CheckIn(v).Record; got.Verdict != want || got.Situation != "timeout" || got.Integration != integration {
			t.Errorf("%s: %+v", integration, got)
		}
	}
}

func TestOrder_IsObeyedUntilItIsLifted(t *testing.T) {
	t.Parallel()
	r := relaytest.Start(t)
	r.Decide(decide)
	verdict := func(v subscribertest.Visit) visit.Verdict { return r.CheckIn(v).Record.Verdict }
	lift := r.Override(visit.AllSites)
	if got := verdict(subscribertest.NoCompany()); got != visit.Accept {
		t.Errorf("%s under an override", got)
	}
	liftLockdown := r.Lockdown(subscribertest.Site)
	if got := verdict(subscribertest.Visitor()); got != visit.Reject {
		t.Errorf("%s under a lockdown", got)
	}
	liftLockdown()
	lift()
	if a, b := verdict(subscribertest.Visitor()), verdict(subscribertest.NoCompany()); a != visit.Accept || b != visit.Reject {
		t.Errorf("%s and %s once both are lifted", a, b)
	}
}

func TestEvents_ReachAProgramOfATeam(t *testing.T) {
	t.Parallel()
	r := relaytest.Start(t)
	got := make(chan visit.Event)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	js := r.JetStream(relaytest.Consumer)
	go func() {
		ended <- subscriber.Events(ctx, js, subscriber.EventsConfig{Durable: "badges", Site: "hq"}, func(_ context.Context, e visit.Event) error {
			got <- e
			return nil
		})
	}()
	r.CheckedIn(subscribertest.Umlauts())
	r.CheckedIn(subscribertest.Umlauts()) // Sine repeats itself
	r.CheckedOut(subscribertest.Umlauts())
	if in, out := <-got, <-got; in.ID != subscribertest.Umlauts().CheckedIn().ID || out.Kind != visit.KindCheckedOut {
		t.Errorf("got %s %s and %s", in.Kind, in.ID, out.Kind)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A user of NATS may do what it may in service, and no more.
func TestNATS_HasTheUsersOfService(t *testing.T) {
	t.Parallel()
	r := relaytest.Start(t)
	r.CheckedIn(subscribertest.Visitor())
	denied := make(chan error, 1)
	nc, err := nats.Connect(r.NATSURL(relaytest.Decider), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.SubscribeSync("visitors.v1.event.>"); err != nil {
		t.Fatal(err)
	}
	if err := <-denied; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Error(err)
	}
	if err := r.JetStream(relaytest.Admin).DeleteStream(t.Context(), visit.DefaultDecisionStream); err != nil {
		t.Error(err)
	}
	var missing *jetstream.APIError
	_, err = r.JetStream(relaytest.Admin).Stream(t.Context(), visit.DefaultDecisionStream)
	if err != nil && !errors.As(err, &missing) { // the relay may have made it again
		t.Error(err)
	}
}

func TestRelay_ServesItsAdminListener(t *testing.T) {
	t.Parallel()
	r := relaytest.Start(t)
	answer, err := http.Get(r.AdminURL() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "ready\n" {
		t.Errorf("%q %v", body, err)
	}
}

// recorder is a test that may fail, and ends then with what it has started.
type recorder struct {
	*testing.T
	failed string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(r)
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) { r.failed = fmt.Sprintf(format, args...) }

// watched is a test of which is known what it prints.
type watched struct {
	*testing.T
	fails   bool
	printed string
}

func (w *watched) Failed() bool { return w.fails }

func (w *watched) Logf(format string, args ...any) { w.printed += fmt.Sprintf(format, args...) }

func TestStart_PrintsWhatTheRelayLogsWhenTheTestFails(t *testing.T) {
	for _, fails := range []bool{true, false} {
		w := &watched{fails: fails}
		t.Run("inner", func(t *testing.T) {
			w.T = t
			relaytest.Start(w).CheckIn(subscribertest.Visitor())
		})
		if logged := strings.Contains(w.printed, "kind=check_in_request"); logged != fails || w.printed == "" == fails {
			t.Errorf("a test that fails: %t, printed %q", fails, w.printed)
		}
		if strings.Contains(w.printed, "Oyelaran") {
			t.Error("the log has a visitor's name")
		}
	}
}

func TestStart_FailsTheTestInWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		test func(t testing.TB)
		want string
	}{
		"an unknown setting": {func(t testing.TB) { relaytest.Start(t, relaytest.Setting("SINE_RELAY_DECISION_BUGDET", "1s")) },
			"SINE_RELAY_DECISION_BUGDET: unknown setting"},
		"an invalid integration": {func(t testing.TB) { relaytest.Start(t, relaytest.Integrations("{integrations: [{name: a b}]}")) },
			"name"},
		"a file that is no YAML": {func(t testing.TB) { relaytest.Start(t, relaytest.Integrations("{")) },
			"integrations.yaml"},
		"a port that is taken": {func(t testing.TB) {
			taken := strings.TrimPrefix(relaytest.Start(t).AdminURL(), "http://")
			relaytest.Start(t, relaytest.Setting("SINE_RELAY_LISTEN", taken))
		}, "address already in use"},
		"a visit elsewhere": {func(t testing.TB) {
			v := subscribertest.Visitor()
			v.Integration = "plant-gate"
			relaytest.Start(t).CheckIn(v)
		}, `no integration "plant-gate", it has ["default"]`},
		"an event that is refused": {func(t testing.TB) {
			relaytest.Start(t, relaytest.Setting("SINE_RELAY_BODY_LIMIT", "1KiB")).CheckedIn(subscribertest.LargeAnswers())
		}, "checked_in was answered 413"},
		"a decider that cannot start": {func(t testing.TB) {
			relaytest.Start(t).DecideWith(subscriber.DeciderConfig{Version: "one"}, decide)
		}, `the decider ended with decide: field Version must be a semantic version`},
		"an order that is invalid": {func(t testing.TB) { relaytest.Start(t).Order(visit.Order{Kind: visit.OrderOverride, Site: "hq"}) },
			"give order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{T: t}
			defer func() {
				if v := recover(); v != nil && v != any(r) {
					panic(v)
				}
				if !strings.Contains(r.failed, c.want) {
					t.Errorf("%s", r.failed)
				}
			}()
			c.test(r)
		})
	}
}
