package e2e

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// part is what one NATS user does all day.
type part struct {
	// said is all that this user was told, by logs, commands and errors.
	said func() string
	// again has it done once more, unless it goes on by itself.
	again func()
	// stop lets it end; the test waits for that when it ends itself.
	stop func()
}

// parts are played by a user of the configuration, or by one who lacks something.
var parts = map[string]func(t *testing.T, s *theatre, day *day, user string) *part{
	"relay": playRelay, "decider": playDecider, "consumer": playConsumer, "operator": playOperator, "desk": playDesk, "admin": playAdmin,
}

// day is what is there for everybody to work on.
type day struct {
	relay *program
	// understanding is a file of settings with names of events that the relay
	// does not know.
	understanding string
}

// visits are calls of every kind that the relay publishes something about.
var visits = []string{
	webhook("signin_before", noon, "Ada"), webhook("signin_before", noon, "Unwelcome"),
	webhook("signin_after", noon, "Ada"), webhook("signout_after", noon, "Ada"), "nonsense",
}

func playRelay(t *testing.T, s *theatre, _ *day, user string) *part {
	p, operator := runServe(t, s.settings(user)...), s.connect("operator")
	verbose := ""
	return &part{
		said: func() string { return p.out.String() + p.err.String() + verbose },
		again: func() {
			for _, body := range visits {
				if _, _, err := p.post(body); err != nil {
					t.Error(err)
				}
			}
			_, verbose = p.get("/readyz?verbose")
			// An operator asks it what it obeys.
			if err := operator.PublishRequest("$SRV.STATS.sine-relay", operator.NewInbox(), nil); err != nil {
				t.Error(err)
			}
		},
		stop: p.stop,
	}
}

// connect is a team's own connection. Nobody hears its errors but who asks.
func (s *theatre) connect(user string) *nats.Conn {
	return s.Connect(asUser(user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
}

func playDecider(t *testing.T, s *theatre, day *day, user string) *part {
	said, running := &logtest.Buffer{}, newRunning(t)
	nc := s.connect(user)
	ready := make(chan struct{})
	cfg := subscriber.DeciderConfig{
		Sites: []string{"hq"}, Version: "1.2.3", OnReady: func() { close(ready) },
		OnError: func(err error) { fmt.Fprintln(said, err) },
	}
	ended := running.start(func(ctx context.Context) {
		err := subscriber.Decide(ctx, nc, cfg, func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
			if q.Person.FirstName == "Unwelcome" {
				return visit.Decision{Verdict: visit.Reject}, nil
			}
			return visit.Decision{Verdict: visit.Accept}, nil
		})
		if err != nil {
			fmt.Fprintln(said, err)
		}
	})
	select {
	case <-ready:
	case <-ended:
	}
	return &part{said: said.String, stop: running.stop, again: func() {
		if _, _, err := day.relay.post(visits[0]); err != nil {
			t.Error(err)
		}
	}}
}

// playConsumer runs two programs with the durable that the administrator made.
func playConsumer(t *testing.T, s *theatre, day *day, user string) *part {
	said, running := &logtest.Buffer{}, newRunning(t)
	var received, posted atomic.Int64
	for range 2 {
		js, err := jetstream.New(s.connect(user))
		if err != nil {
			t.Fatal(err)
		}
		cfg := subscriber.EventsConfig{
			Durable: "badges", Site: "hq", BindOnly: true,
			OnError: func(err error) { fmt.Fprintln(said, err) },
		}
		running.start(func(ctx context.Context) {
			err := subscriber.Events(ctx, js, cfg, func(context.Context, visit.Event) error {
				received.Add(1)
				return nil
			})
			if err != nil {
				fmt.Fprintln(said, err)
			}
		})
	}
	return &part{
		said: func() string { return fmt.Sprintf("%d received\n%s", received.Load(), said) },
		stop: running.stop,
		// A new event each time, since others take from the same durable.
		again: func() {
			if _, _, err := day.relay.post(webhook("signin_after", noon, fmt.Sprint(user, posted.Add(1)))); err != nil {
				t.Error(err)
			}
		},
	}
}

// running are goroutines that end together.
type running struct {
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
}

func newRunning(t *testing.T) *running {
	r := &running{}
	r.ctx, r.stop = context.WithCancel(context.Background())
	t.Cleanup(r.end)
	return r
}

func (r *running) start(f func(context.Context)) (ended <-chan struct{}) {
	done := make(chan struct{})
	r.all.Go(func() { defer close(done); f(r.ctx) })
	return done
}

func (r *running) end() {
	r.stop()
	r.all.Wait()
}
