package subscriber_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// patience is far above what anything here needs.
const patience = wait.Limit

// site is a NATS server with an empty stream of events.
type site struct {
	*natstest.Server
	js jetstream.JetStream
}

func newSite(t *testing.T) *site {
	t.Helper()
	return withStream(t, natstest.Start(t))
}

func withStream(t *testing.T, s *natstest.Server, o ...nats.Option) *site {
	t.Helper()
	// The tests restart servers: wait little, and without end.
	js := s.JetStream(append(o, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))...)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: visit.DefaultEventStream, Subjects: []string{visit.Subjects{}.All(visit.RootEvent)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &site{Server: s, js: js}
}

// store stores events with the ids from-0, from-1, … at a site.
func (s *site) store(t *testing.T, at, from string, n int) {
	t.Helper()
	for i := range n {
		e := visit.Event{ID: fmt.Sprintf("%s-%d", from, i), Kind: visit.KindCheckedIn, Origin: visit.Origin{Site: at}}
		s.storeEvent(t, e)
	}
}

func (s *site) storeEvent(t *testing.T, e visit.Event) {
	t.Helper()
	m, err := e.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	s.storeBytes(t, m.Subject, m.Data)
}

func (s *site) storeBytes(t *testing.T, subject string, data []byte) {
	t.Helper()
	if _, err := s.js.Publish(t.Context(), subject, data); err != nil {
		t.Fatal(err)
	}
}

func (s *site) consumer(t *testing.T, durable string) *jetstream.ConsumerInfo {
	t.Helper()
	c, err := s.js.Consumer(t.Context(), visit.DefaultEventStream, durable)
	if err != nil {
		t.Fatal(err)
	}
	return c.CachedInfo()
}

// acknowledged waits until nothing of a durable is out: the server takes
// acknowledgements in after it has read them.
func (s *site) acknowledged(t *testing.T, durable string) *jetstream.ConsumerInfo {
	t.Helper()
	var last *jetstream.ConsumerInfo
	eventually(t, "all that "+durable+" got is acknowledged", func() bool {
		last = s.consumer(t, durable)
		return last.NumAckPending == 0
	})
	return last
}

type handler = func(context.Context, visit.Event) error

// run is one call of Events or Decide.
type run struct {
	end  context.CancelFunc
	done chan error
	// errors is what OnError heard.
	errors chan error
}

func runEvents(t *testing.T, js jetstream.JetStream, cfg subscriber.EventsConfig, h handler) *run {
	t.Helper()
	if cfg.Durable == "" {
		cfg.Durable = "badges"
	}
	return newRun(t, func(ctx context.Context, onError func(error)) error {
		cfg.OnError = onError
		return subscriber.Events(ctx, js, cfg, h)
	})
}

func newRun(t *testing.T, f func(context.Context, func(error)) error) *run {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	r := &run{end: end, done: make(chan error, 1), errors: make(chan error, 10_000)}
	go func() { r.done <- f(ctx, func(err error) { r.errors <- err }) }()
	t.Cleanup(end)
	return r
}

// wait returns what the call returned.
func (r *run) wait(t *testing.T) error {
	t.Helper()
	return next(t, r.done)
}

// stop ends the call's context; that must be no error.
func (r *run) stop(t *testing.T) {
	t.Helper()
	r.end()
	if err := r.wait(t); err != nil {
		t.Fatalf("returned %v", err)
	}
}

// next is the next value in a channel.
func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

var eventually = wait.Until

func contains(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("error %v, want %q in it", err, p)
		}
	}
}

// collect is a handler that hands every event's id to the test.
func collect(ids chan<- string) handler {
	return func(_ context.Context, e visit.Event) error {
		ids <- e.ID
		return nil
	}
}
