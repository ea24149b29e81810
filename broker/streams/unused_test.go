package streams_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/wait"
)

// reconcile runs a reconciler as another relay would, and returns it once the streams
// are verified.
func reconcile(t *testing.T, s *natstest.Server) *streams.Reconciler {
	t.Helper()
	nats, err := dial.Config{Servers: []string{s.URL()}}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := streams.Config{}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	options := conn.Options{Name: "events", Logger: log, Metrics: conn.NewMetrics(nil)}
	c, other, err := conn.DialPair(nats, options, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	other.Close()
	r := streams.New(cfg, streams.Options{Conn: c, Logger: log, Bucket: "KV_ORDERS"})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	wait.Until(t, "the streams are verified", func() bool {
		all, _ := r.State()
		return !slices.ContainsFunc(all, func(s streams.Status) bool { return !s.Verified })
	})
	return r
}

// What waited in a spool may be stored before the bucket of the standing orders is
// looked for. That is not a bucket which somebody deleted.
func TestUnused_MessagesInAStreamOfThisProcessDoNotCount(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	first := reconcile(t, s)
	if _, err := s.JetStream().Publish(t.Context(), "visitors.v1.event.hq.checked_in", nil); err != nil {
		t.Fatal(err)
	}
	if unused, err := first.Unused(t.Context()); err != nil || !unused {
		t.Errorf("for the process that created the streams: %v %v", unused, err)
	}
	if unused, err := reconcile(t, s).Unused(t.Context()); err != nil || unused {
		t.Errorf("for the next process: %v %v", unused, err)
	}
}
