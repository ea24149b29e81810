package broker_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

func TestAuth_ReportsANATSWithoutAuthentication(t *testing.T) {
	t.Parallel()
	stranger := func(o *server.Options) { withUser(nil)(o); o.NoAuthUser = o.Users[0].Username }
	for name, c := range map[string]struct {
		server func(*server.Options)
		relay  func(*broker.Config)
		nobody bool
	}{
		"it has no users":                          {func(*server.Options) {}, func(*broker.Config) {}, true},
		"it has no users, and the relay says one":  {func(*server.Options) {}, asRelay, true},
		"it lets those in who say nothing":         {stranger, func(*broker.Config) {}, true},
		"it lets those in, and the relay signs in": {stranger, asRelay, true},
		"it asks": {withUser(nil), asRelay, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, c.server)
			reg, log := prometheus.NewRegistry(), &logtest.Buffer{}
			b := ready(t, s, c.relay, func(cfg *broker.Config) {
				cfg.Registerer, cfg.Logger = reg, slog.New(slog.NewTextHandler(log, nil))
			})
			eventually(t, "it is known", func() bool { return b.Status().Unauthenticated == c.nobody })
			status := b.Status()
			if status.Unauthenticated != c.nobody || status.Fault != nil || status.Impaired != nil {
				t.Errorf("status: %+v", status)
			}
			if said := strings.Contains(strings.Join(status.Lines(), "\n"), conn.UnauthenticatedText); said != c.nobody {
				t.Errorf("the status says so: %t", said)
			}
			if n := sample(t, reg, "sine_relay_nats_unauthenticated"); (n == 1) != c.nobody {
				t.Errorf("the gauge is %v", n)
			}
			want := map[bool]int{true: 2, false: 0}[c.nobody] // once for each connection
			eventually(t, "it is logged", func() bool { return strings.Count(log.String(), "level=WARN msg=\""+conn.UnauthenticatedText) == want })
			cfg := broker.Config{NATS: dial.Config{Servers: []string{s.URL()}}}
			c.relay(&cfg)
			found, err := admin.Examine(t.Context(), command(cfg))
			if err != nil || found.Unauthenticated != c.nobody || found.Server == "" {
				t.Errorf("examined: %+v %v", found, err)
			}
		})
	}
}

func TestExamine_InspectsStreamsAndCreatesNone(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	cfg := broker.Config{NATS: dial.Config{Servers: []string{s.URL()}}}
	found, err := admin.Examine(t.Context(), command(cfg))
	if err != nil || len(found.Streams) != 4 {
		t.Fatalf("%+v %v", found, err)
	}
	for _, stream := range found.Streams {
		if stream.Verified || stream.Pending == nil || !strings.Contains(stream.Pending.Error(), "does not exist") {
			t.Errorf("%+v", stream)
		}
	}
	if _, err := s.JetStream().Stream(t.Context(), "VISITORS"); err == nil {
		t.Error("it made a stream")
	}
	ready(t, s)
	if found, err = admin.Examine(t.Context(), command(cfg)); err != nil {
		t.Fatal(err)
	}
	for _, stream := range found.Streams {
		if !stream.Verified || stream.Fault != nil || stream.Pending != nil {
			t.Errorf("%+v", stream)
		}
	}
}
