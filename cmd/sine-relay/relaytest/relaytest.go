// Package relaytest runs a real relay with NATS in the process of a test, for programs of
// other teams that decide or receive events.
//
//	r := relaytest.Start(t)
//	r.Decide(decide)                            // or your program, on r.NATS(relaytest.Decider)
//	response := r.CheckIn(subscribertest.Visitor())
//	if response.Record.Verdict != visit.Accept {
//
// It is the relay of `sine-relay serve` with its embedded NATS, on ports that the kernel
// chooses and with files in the test's own directory; it is gone when the test ends. Tests
// may run in parallel, each with a relay of its own. What the relay logs is shown when the
// test fails.
//
// Whoever imports it gets nats-server into the test's binary. Tests of a function alone
// need package subscribertest and nothing else.
package relaytest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// Option changes how a relay is started.
type Option func(*setup)

// Integrations is the content of an integrations file, YAML or JSON, in place of the one
// integration "default" of site "hq". Each integration has a key of its own.
func Integrations(file string) Option {
	return func(s *setup) { s.integrations = file }
}

// Clock is the time by which the relay receives webhooks and evaluates conditions, in
// place of the machine's. Deadlines and standing orders go by the machine's all the same.
func Clock(now func() time.Time) Option {
	return func(s *setup) { s.clock = now }
}

// Setting sets a variable such as SINE_RELAY_DECISION_BUDGET, which is 10s otherwise: a
// test must not fail because the machine is busy.
func Setting(name, value string) Option {
	return func(s *setup) { s.environ = append(s.environ, name+"="+value) }
}

type setup struct {
	environ      []string
	integrations string
	clock        func() time.Time
	key          string // of every integration
}

// defaults are those of a relay that is small and soon gone, for the visitors of package
// subscribertest. Its budgets are long: a machine that is busy with tests is no reason for
// one of them to fail.
var defaults = map[string]string{
	"DECISION_BUDGET": "10s", "STORE_BUDGET": "10s", "WRITE_TIMEOUT": "30s",
	"LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0", "NATS_LISTEN": "127.0.0.1:0", "DRAIN_DELAY": "0s",
	"SITE": subscribertest.Site, "TIME_ZONE": subscribertest.TimeZone,
	"EVENT_STREAM_MAX_BYTES": "16MiB", "DECISION_STREAM_MAX_BYTES": "16MiB", "QUARANTINE_STREAM_MAX_BYTES": "16MiB",
}

// Relay is a running relay.
type Relay struct {
	t        testing.TB
	server   *server.Server
	settings config.Settings
	client   *http.Client
	key      string

	mu      sync.Mutex
	records map[string]visit.Record // by request id
}

// Start returns when the relay is ready. The test fails at once when the relay cannot
// start, such as for an invalid configuration.
func Start(t testing.TB, options ...Option) *Relay {
	t.Helper()
	s := setup{key: rand.Text()}
	for _, o := range options {
		o(&s)
	}
	r := &Relay{t: t, key: s.key, records: map[string]visit.Record{}, client: &http.Client{Transport: &http.Transport{}}}
	load := s.loader(t)
	settings, err := load()
	if err == nil && len(settings.NonFatal) > 0 {
		err = settings.NonFatal
	}
	if err != nil {
		t.Fatalf("start a relay: %v", err)
	}
	r.settings = settings
	var log logtest.Buffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the relay logged:\n%s", log.String())
		}
	})
	r.server, err = server.Start(server.Options{
		Settings: settings, Load: load, Log: slog.New(slog.NewTextHandler(&log, nil)), Version: "0.0.0-test", Clock: s.clock,
		Publisher: func(b *broker.Broker) relay.Publisher { return recordKeeper{b, r} },
	})
	if err != nil {
		t.Fatalf("start a relay: %v", err)
	}
	r.run()
	return r
}

// run runs the relay until the test ends, and returns when it is ready.
func (r *Relay) run() {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Run(ctx) }()
	r.t.Cleanup(func() {
		r.client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			r.t.Errorf("the relay ended with %v", err)
		}
	})
	wait.Until(r.t, "the relay is ready", func() bool {
		state, _ := r.server.Readiness.State()
		return state.Word == "ready"
	})
}

// loader writes the files that the settings name, and returns what reads the settings.
func (s *setup) loader(t testing.TB) func() (config.Settings, error) {
	t.Helper()
	dir := t.TempDir()
	preset := map[string]string{config.Prefix + "NATS_STORE_DIR": filepath.Join(dir, "nats")}
	for name, value := range defaults {
		preset[config.Prefix+name] = value
	}
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if s.integrations == "" {
		preset[config.Prefix+"KEYS"] = s.key
		return func() (config.Settings, error) { return config.Load(s.environ, preset) }
	}
	keys := filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	preset[config.Prefix+"INTEGRATIONS_FILE"] = write("integrations.yaml", s.integrations)
	preset[config.Prefix+"KEYS_DIR"] = keys
	if found, err := config.LoadWithoutKeys(s.environ, preset); err == nil {
		names, _ := found.Names()
		for _, name := range names {
			write(filepath.Join("keys", name), s.key)
		}
	}
	return func() (config.Settings, error) { return config.Load(s.environ, preset) }
}

// recordKeeper keeps the records of decisions on their way to the stream.
type recordKeeper struct {
	relay.Publisher
	to *Relay
}

func (k recordKeeper) Publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	if m.Root == visit.RootDecision {
		k.to.keep(m.Data)
	}
	return k.Publisher.Publish(ctx, m)
}
