package relay

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func TestMain(m *testing.M) { wait.Main(m) }

const testKey = "lobby-key-0123456789"

// fakeBroker stands in for NATS. It keeps what it was given and does what its
// functions say. It does not check deadlines, subjects or sizes: the tests with
// the real broker do.
type fakeBroker struct {
	ask     func(context.Context, visit.Message) (visit.Decision, error)
	publish func(context.Context, visit.Message) (visit.Receipt, error)

	mu        sync.Mutex
	asked     []visit.Message
	published []visit.Message
	records   []visit.Message // of decisions, which nobody waits for
}

func (f *fakeBroker) Ask(ctx context.Context, m visit.Message) (visit.Decision, error) {
	f.mu.Lock()
	f.asked = append(f.asked, m)
	f.mu.Unlock()
	if f.ask == nil {
		return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome"}, nil
	}
	return f.ask(ctx, m)
}

func (f *fakeBroker) Publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	f.mu.Lock()
	if m.Root == visit.RootDecision {
		defer f.mu.Unlock()
		f.records = append(f.records, m)
		return visit.Receipt{Stream: "VISITOR_DECISIONS", Sequence: 1}, nil
	}
	f.published = append(f.published, m)
	f.mu.Unlock()
	if f.publish == nil {
		return visit.Receipt{Stream: "VISITORS", Sequence: 1}, nil
	}
	return f.publish(ctx, m)
}

// fakeOrders are the standing orders that a test gives.
type fakeOrders struct {
	mu      sync.Mutex
	all     []visit.Order
	unknown bool
}

func (f *fakeOrders) OrdersAt(string) ([]visit.Order, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all, !f.unknown
}

func (f *fakeOrders) give(all ...visit.Order) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = all
}

// testLimits are the defaults of the settings.
var testLimits = Limits{
	Body: 256 << 10, Header: 16 << 10, JSONDepth: 32,
	ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
	Connections: 1000, StoreBudget: 2 * time.Second,
	CheckInRequests: 512, Events: 256, WaitingEvents: 10_000, BodyMemory: 64 << 20,
}

// testIntegrations fills in what the tests do not care about.
func testIntegrations(all ...Integration) []Integration {
	for i := range all {
		in := &all[i]
		in.Site = cmp.Or(in.Site, in.Name)
		in.Zone = cmp.Or(in.Zone, time.UTC)
		in.Budget = cmp.Or(in.Budget, 2500*time.Millisecond)
		in.RejectMode = cmp.Or(in.RejectMode, RejectByCode)
		if in.Deciders == nil {
			in.Deciders = []Decider{{Name: DefaultDecider}}
		}
		if in.Accept.fields == nil {
			in.Accept = DefaultAccept
		}
		if in.Reject.fields == nil {
			in.Reject = DefaultReject
		}
	}
	return all
}

// rig is a relay with the integration "lobby" at the site "hq".
type rig struct {
	*Relay
	broker  *fakeBroker
	orders  *fakeOrders
	metrics *prometheus.Registry
	log     *logtest.Buffer
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{broker: &fakeBroker{}, orders: &fakeOrders{}, metrics: prometheus.NewPedanticRegistry(), log: &logtest.Buffer{}}
	cfg := Config{
		Integrations: testIntegrations(Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("first", testKey)}}),
		Limits:       testLimits,
		Asker:        r.broker,
		Publisher:    r.broker,
		Orders:       r.orders,
		Registerer:   r.metrics,
		Logger:       slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&cfg)
	}
	testIntegrations(cfg.Integrations...)
	relay, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Relay = relay
	return r
}

func (r *rig) reload(all ...Integration) error { return r.Reload(testIntegrations(all...)) }

// post calls the relay with the right key.
func (r *rig) post(path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("x-sine-auth", testKey)
	req.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(req)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// ledger returns the two sides of the ledger.
func (r *rig) ledger(t *testing.T) (received, settled float64) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "sine_relay_events_received_total":
				received += m.GetCounter().GetValue()
			case "sine_relay_events_settled_total":
				settled += m.GetCounter().GetValue()
			}
		}
	}
	return received, settled
}

func (r *rig) settledAs(res result) float64 {
	return testutil.ToFloat64(r.Relay.metrics.settled.WithLabelValues("lobby", string(res)))
}

func (r *rig) results(kind string, res result) float64 {
	return testutil.ToFloat64(r.Relay.metrics.webhooks.WithLabelValues("lobby", kind, string(res)))
}

const timeout = wait.Limit

var eventually = wait.Until
