package relaytest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
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
	if got := r.CheckIn(subscribertest.Visitor()); got.Record.Situation != visit.SituationNoDecider || got.Record.Verdict != visit.Reject {
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
	v := subscribertest.Visitor()
	v.TimeZone = "UTC"
	night := r.CheckIn(v)
	now = now.Add(9 * time.Hour)
	noon := r.CheckIn(v)
	if night.Record.Decider != "night-porter" || noon.Record.Situation != visit.SituationUnasked || !noon.Record.Received.Equal(now) {
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
		if got := r.CheckIn(v).Record; got.Verdict != want || got.Situation != visit.SituationTimeout || got.Integration != integration {
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
