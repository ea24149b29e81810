package relay

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestReadiness_State(t *testing.T) {
	t.Parallel()
	away := Health{}
	fine := Health{Connected: true, Verified: true}
	denied := Health{Connected: true, Err: errors.New("stream VISITORS keeps its messages in memory")}
	lost := Health{Verified: true}
	unordered := Health{Connected: true, Verified: true, OrdersPending: true, Warning: errors.New("lockdowns and overrides: the bucket was deleted")}
	refused := Health{Connected: true, Verified: true, OrdersPending: true, Err: errors.New("lockdowns and overrides: permission denied")}
	type moment struct {
		after  time.Duration
		health Health
		word   string
		ready  bool
	}
	for _, c := range []struct {
		name    string
		moments []moment
	}{
		{"it waits for NATS", []moment{{0, away, "starting", false}, {time.Second, fine, "ready", true}}},
		{"it does not wait for ever", []moment{{14 * time.Second, away, "starting", false}, {16 * time.Second, away, "degraded", true}}},
		{"a fault keeps it out", []moment{{time.Second, denied, "starting", false}, {time.Hour, denied, "starting", false}, {2 * time.Hour, fine, "ready", true}}},
		{"a connection without verified streams is waited for", []moment{{time.Hour, Health{Connected: true}, "starting", false}}},
		{"it waits for the orders", []moment{{time.Second, unordered, "starting", false}, {2 * time.Second, fine, "ready", true}}},
		{"but not for ever, since events are stored", []moment{{14 * time.Second, unordered, "starting", false}, {16 * time.Second, unordered, "degraded", true}}},
		{"orders that were known once do not make it unready", []moment{{0, fine, "ready", true}, {time.Second, unordered, "degraded", true}}},
		{"a lack of rights on the orders keeps it out", []moment{{time.Hour, refused, "starting", false}}},
		{"once ready, losing NATS does not make it unready", []moment{{0, fine, "ready", true}, {time.Hour, lost, "degraded", true}, {2 * time.Hour, fine, "ready", true}}},
		{"once ready, a fault does not make it unready", []moment{{0, fine, "ready", true}, {time.Second, denied, "degraded", true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var now Health
			r := NewReadiness(func() Health { return now })
			for _, m := range c.moments {
				now = m.health
				state, _ := r.stateAt(r.started.Add(m.after))
				if state.Word != m.word || state.Ready != m.ready {
					t.Errorf("after %s: %s, ready %v, want %s", m.after, state, state.Ready, m.word)
				}
			}
		})
	}
}

func TestAdmin_Pages(t *testing.T) {
	t.Parallel()
	health := Health{Connected: true, Verified: true, Details: []string{"stream VISITORS: ok"}}
	readiness := NewReadiness(func() Health { return health })
	admin := NewAdmin(AdminConfig{Gatherer: prometheus.NewRegistry(), Readiness: readiness}).Server().Handler
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		body, _ := io.ReadAll(w.Body)
		return w.Code, string(body)
	}
	if code, body := get("/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("/readyz: %d %q", code, body)
	}
	if code, body := get("/readyz?verbose"); code != 200 || !strings.Contains(body, "stream VISITORS: ok") {
		t.Errorf("/readyz?verbose: %d %q", code, body)
	}
	if code, _ := get("/metrics"); code != 200 {
		t.Errorf("/metrics: %d", code)
	}
	readiness.Drain()
	if code, body := get("/readyz"); code != 503 || !strings.HasPrefix(body, "draining") {
		t.Errorf("/readyz while draining: %d %q", code, body)
	}
	if code, _ := get("/livez"); code != 200 {
		t.Errorf("/livez while draining: %d", code)
	}
}

// A cause is said once, however many tell of it.
func TestAdmin_ReadyzNamesEachProblemOnce(t *testing.T) {
	t.Parallel()
	fault := errors.New("stream VISITORS keeps its messages in memory")
	readiness := NewReadiness(func() Health {
		return Health{Connected: true, Err: fault, Details: []string{"nats: connected", fault.Error(), "stream VISITOR_DECISIONS: verified", fault.Error()}}
	})
	w := httptest.NewRecorder()
	NewAdmin(AdminConfig{Gatherer: prometheus.NewRegistry(), Readiness: readiness}).Server().Handler.ServeHTTP(w, httptest.NewRequest("GET", "/readyz?verbose", nil))
	if got, want := w.Body.String(), "starting: "+fault.Error()+"\nnats: connected\nstream VISITOR_DECISIONS: verified\n"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
