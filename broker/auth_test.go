package broker_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

func TestAuth_AcceptsPasswordTokenAndNKey(t *testing.T) {
	t.Parallel()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := pair.Seed()
	public, _ := pair.PublicKey()
	seedFile := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(seedFile, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		server func(*server.Options)
		auth   dial.Auth
	}{
		"user and password": {withUser(nil), dial.Auth{User: "relay", Password: always("Zsecret")}},
		"token":             {func(o *server.Options) { o.Authorization = "Zsecret" }, dial.Auth{Token: always("Zsecret")}},
		"NKEY seed file":    {func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} }, dial.Auth{NKeySeedFile: seedFile}},
	} {
		t.Run(name, func(t *testing.T) {
			ready(t, natstest.Start(t, c.server), func(cfg *broker.Config) { cfg.NATS.Auth = c.auth })
		})
	}
}

func TestAuth_KeepsPasswordsInURLsOutOfStatusAndLog(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, withUser(nil))
	var log logtest.Buffer
	b := ready(t, s, func(c *broker.Config) {
		c.NATS.Servers = []string{strings.Replace(s.URL(), "nats://", "nats://relay:Zsecret@", 1)}
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	if at := b.Status().Server; !strings.Contains(at, "relay") || strings.Contains(at, "Zsecret") {
		t.Errorf("server is %s", at)
	}
	s.Stop()
	s.Restart(func(o *server.Options) { o.Users[0].Password = "Zother" })
	awaitFault(t, b, "authorisation failed")
	if said := log.String() + strings.Join(b.Status().Lines(), "\n"); strings.Contains(said, "Zsecret") {
		t.Errorf("the password got out:\n%s", said)
	}
}

// Both before the first connect, where nats.go tells no handler of a refusal,
// and after it.
func TestTrap_RefusedCredentialsThatAreCorrectedRecover(t *testing.T) {
	t.Parallel()
	wrong := func(o *server.Options) { withUser(nil)(o); o.Users[0].Password = "Zother" }
	for name, begin := range map[string]func(*natstest.Server){
		"refused at the start":         func(*natstest.Server) {},
		"away at first, then refusing": func(s *natstest.Server) { s.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Start(t, wrong)
			begin(s)
			var log logtest.Buffer
			reg := prometheus.NewRegistry()
			b := connectTo(t, s, asRelay, func(c *broker.Config) {
				c.Logger, c.Registerer = slog.New(slog.NewTextHandler(&log, nil)), reg
			})
			if !s.Server().Running() {
				s.Restart()
			}
			awaitFault(t, b, "connection check_in_requests: authorisation failed; check the credentials")
			awaitFault(t, b, "connection events: authorisation failed")
			// By default nats.go gives up for good at the second refusal.
			for _, connection := range []string{"check_in_requests", "events"} {
				eventually(t, "it goes on trying", func() bool {
					return sample(t, reg, "sine_relay_nats_errors_total", "connection", connection, "reason", "authorization") >= 4
				})
			}
			s.Stop()
			s.Restart(withUser(nil))
			awaitReady(t, b)
			if n := strings.Count(log.String(), "Authorization Violation"); n > 2 {
				t.Errorf("the refusal was logged %d times:\n%s", n, log.String())
			}
		})
	}
}
