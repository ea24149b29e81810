package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// What keeps a reload from succeeding need not show in any file's content.
func TestReload_FailureIsRetried(t *testing.T) {
	t.Parallel()
	environ := []string{
		"SINE_RELAY_NATS_URL=" + natstest.Start(t).URL(), "SINE_RELAY_KEYS=test-key-0123456789",
		"SINE_RELAY_LISTEN=127.0.0.1:0", "SINE_RELAY_ADMIN_LISTEN=127.0.0.1:0", "SINE_RELAY_DRAIN_DELAY=0s",
	}
	settings, err := config.Load(environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int32
	load := func() (config.Settings, error) {
		if tries.Add(1) <= 2 {
			return config.Settings{}, errors.New("it was away for a moment")
		}
		return config.LoadWithoutKeys(environ, nil)
	}
	var log complaints
	srv, err := Start(Options{Settings: settings, Load: load, Log: slog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	srv.reloader.retry = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	srv.sighup <- syscall.SIGHUP
	waitUntil(t, "it failed", srv.reloader.failed)
	waitUntil(t, "it was tried again until it succeeded", func() bool { return !srv.reloader.failed() })
	if got := log.n.Load(); got != 1 {
		t.Errorf("the fault was logged %d times", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// complaints counts the lines about a configuration that is not in force.
type complaints struct {
	slog.Handler
	n atomic.Int32
}

func (c *complaints) Enabled(context.Context, slog.Level) bool { return true }

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "is not in force; the relay goes on") {
		c.n.Add(1)
	}
	return nil
}

func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }

func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick, giveUp := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("not in 30s: %s", what)
		}
	}
}
