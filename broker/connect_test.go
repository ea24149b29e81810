package broker_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

func TestConfig_RefusesWhatCanNeverWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rubbish := filepath.Join(dir, "rubbish")
	if err := os.WriteFile(rubbish, []byte("Zsecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(dir, "absent")
	for name, c := range map[string]struct {
		change func(*broker.Config)
		want   string
	}{
		"no server":               {func(c *broker.Config) { c.NATS.Servers = nil }, "no NATS server"},
		"two kinds of servers":    {func(c *broker.Config) { c.NATS.InProcess = &server.Server{} }, "both"},
		"an address that is none": {func(c *broker.Config) { c.NATS.Servers = []string{"nats://u:Zsecret/@h:4222"} }, "server 1 of 1 is not a URL"},
		"another protocol":        {func(c *broker.Config) { c.NATS.Servers = []string{"http://u:Zsecret@h"} }, "server 1 of 1 is not a URL"},
		"no credentials file":     {func(c *broker.Config) { c.NATS.Auth.CredentialsFile = absent }, "credentials file"},
		"a bad credentials file":  {func(c *broker.Config) { c.NATS.Auth.CredentialsFile = rubbish }, "credentials file"},
		"no seed file":            {func(c *broker.Config) { c.NATS.Auth.NKeySeedFile = absent }, "NKEY seed file"},
		"a bad seed":              {func(c *broker.Config) { c.NATS.Auth.NKeySeedFile = rubbish }, "NKEY seed file"},
		"two ways to authenticate": {func(c *broker.Config) {
			c.NATS.Auth = dial.Auth{Token: always("Zsecret"), User: "u", Password: always("Zsecret")}
		}, "only one of"},
		"a user, no password":   {func(c *broker.Config) { c.NATS.Auth.User = "u" }, "user and password must be set together"},
		"no CA file":            {func(c *broker.Config) { c.NATS.TLS.CAFile = absent }, "TLS"},
		"a bad CA file":         {func(c *broker.Config) { c.NATS.TLS.CAFile = rubbish }, "TLS"},
		"a certificate, no key": {func(c *broker.Config) { c.NATS.TLS.CertFile = rubbish }, "certificate and key must be set together"},
		"a bad certificate":     {func(c *broker.Config) { c.NATS.TLS.CertFile, c.NATS.TLS.KeyFile = rubbish, rubbish }, "TLS"},
		"forgotten too soon":    {func(c *broker.Config) { c.Streams.Events.MaxAge = time.Hour }, "stream VISITORS: its maximum age of 1h0m0s must not be shorter than the dedupe window of 24h"},
		"one stream for two":    {func(c *broker.Config) { c.Streams.Events.Name = "VISITOR_QUARANTINE" }, "two of them are VISITOR_QUARANTINE"},
	} {
		cfg := broker.Config{NATS: dial.Config{Servers: []string{"nats://127.0.0.1:1"}}}
		c.change(&cfg)
		b, err := broker.Connect(cfg)
		if err == nil {
			b.Close(context.Background())
			t.Errorf("%s: no error", name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Zsecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConnection_WorksInProcess(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.DontListen = true })
	b := ready(t, s, func(c *broker.Config) { c.NATS.Servers, c.NATS.InProcess = nil, s.Server() })
	if at := b.Status().Server; at != "in process" {
		t.Errorf("server is %s", at)
	}
	if _, err := b.Publish(within(t, patience), event("1")); err != nil {
		t.Error(err)
	}
}

func TestConnection_LogsEachChangeOnce(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	var log logtest.Buffer
	b := ready(t, s, func(c *broker.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	s.Stop()
	s.Restart()
	eventually(t, "both are back", func() bool { return strings.Count(log.String(), "reconnected to NATS") == 2 })
	if err := b.Close(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are closed", func() bool { return strings.Count(log.String(), "connection to NATS closed") == 2 })
	for text, times := range map[string]int{`msg="connected to NATS`: 2, `msg="disconnected from NATS`: 2, "stream created": 3, "stream verified": 3} {
		if n := strings.Count(log.String(), text); n != times {
			t.Errorf("%q is told %d times:\n%s", text, n, log.String())
		}
	}
}

func TestMetrics_ExistFromTheStart(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	s.Stop()
	reg := prometheus.NewRegistry()
	connectTo(t, s, func(c *broker.Config) { c.Registerer = reg })
	for name, series := range map[string]int{
		"sine_relay_nats_connected": 2, "sine_relay_nats_reconnects_total": 2, "sine_relay_nats_errors_total": 10,
		"sine_relay_decider_late_replies_total": 1, "sine_relay_stream_usable": 4, "sine_relay_stream_drift": 40,
	} {
		if n, err := testutil.GatherAndCount(reg, name); n != series || err != nil {
			t.Errorf("%s has %d series, want %d; %v", name, n, series, err)
		}
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
