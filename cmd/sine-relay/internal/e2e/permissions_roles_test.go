package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// role is what one NATS user does.
type role struct {
	// said is all that this user learned, by logs, commands and errors.
	said func() string
	// again has it done once more, unless it goes on by itself.
	again func()
	// stop lets it end; the test waits for that when it ends itself.
	stop func()
}

// roles are run by a user of the configuration, or by one who lacks something.
var roles = map[string]func(t *testing.T, s *deployment, fixture *fixture, user string) *role{
	"relay": runRelay, "decider": runDecider, "consumer": runConsumer, "operator": runOperator, "desk": runDesk, "admin": runAdmin,
}

// fixture is what is there for everybody to work on.
type fixture struct {
	relay *program
	// aliases is a file of settings with names of events that the relay
	// does not know.
	aliases string
}

// visits are calls of every kind that the relay publishes something about.
var visits = []string{
	webhook("signin_before", noon, "Ada"), webhook("signin_before", noon, "Unwelcome"),
	webhook("signin_after", noon, "Ada"), webhook("signout_after", noon, "Ada"), "nonsense",
}

func runRelay(t *testing.T, s *deployment, _ *fixture, user string) *role {
	p, operator := runServe(t, s.settings(user)...), s.connect("operator")
	verbose := ""
	return &role{
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
func (s *deployment) connect(user string) *nats.Conn {
	return s.Connect(asUser(user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
}

func runDecider(t *testing.T, s *deployment, fixture *fixture, user string) *role {
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
	return &role{said: said.String, stop: running.stop, again: func() {
		if _, _, err := fixture.relay.post(visits[0]); err != nil {
			t.Error(err)
		}
	}}
}

// runConsumer runs two programs with the durable that the administrator made.
func runConsumer(t *testing.T, s *deployment, fixture *fixture, user string) *role {
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
	return &role{
		said: func() string { return fmt.Sprintf("%d received\n%s", received.Load(), said) },
		stop: running.stop,
		// A new event each time, since others take from the same durable.
		again: func() {
			if _, _, err := fixture.relay.post(webhook("signin_after", noon, fmt.Sprint(user, posted.Add(1)))); err != nil {
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

// runOperator runs every command of an operator, and all of them again once they
// were run: one operator may have deleted what another was about to read.
func runOperator(t *testing.T, s *deployment, fixture *fixture, user string) *role {
	said, running := &logtest.Buffer{}, newRunning(t)
	environ := environment(append(s.settings(user), "KEYS="+testKey, "INTEGRATIONS_FILE="+fixture.aliases)...)
	commands := operatorsCommands(s.quarantined(t, fixture), user)
	nc := s.connect(user)
	var busy atomic.Bool
	inTurn := func(ctx context.Context, commands [][]string) {
		for _, words := range commands {
			if ctx.Err() != nil {
				return
			}
			code, out, errOut := commandLine(environ, words...)
			fmt.Fprintf(said, "%v: %d\n%s%s\n", words, code, out, errOut)
		}
	}
	// Each of them may wait for what does not come, so that only those of one
	// subject take turns.
	round := func(ctx context.Context) {
		defer busy.Store(false)
		var turns sync.WaitGroup
		defer turns.Wait()
		for _, some := range bySubject(commands) {
			turns.Go(func() { inTurn(ctx, some) })
		}
		_, err := nc.Request("$SRV.INFO", nil, 2*time.Second) // as nats micro ls does
		fmt.Fprintln(said, "micro ls:", err, nc.LastError())
	}
	again := func() {
		if busy.CompareAndSwap(false, true) {
			running.start(round)
		}
	}
	again()
	return &role{said: said.String, stop: running.stop, again: again}
}

func operatorsCommands(quarantined []string, site string) [][]string {
	var all [][]string
	for _, line := range []string{
		"lockdown --wait 2s --message Fire --unknown-site --site " + site, "lockdown lift --wait 2s --site " + site,
		"override --wait 2s --accept --for 1m --reason test --unknown-site --site " + site, "override lift --wait 2s --site " + site,
		"orders", "deciders", "ask", "explain 22222", "visits", "quarantine ls",
		"quarantine show " + quarantined[0], "quarantine replay --submit " + strings.Join(quarantined, " "),
		"quarantine replay --submit --delete " + quarantined[0], "rederive --since 1d --submit",
	} {
		all = append(all, strings.Fields(line))
	}
	return all
}

// bySubject puts together the commands that begin with the same word.
func bySubject(commands [][]string) map[string][][]string {
	parts := map[string][][]string{}
	for _, words := range commands {
		parts[words[0]] = append(parts[words[0]], words)
	}
	return parts
}

// quarantined sends one check-in and one check-out that only the fixture's settings
// understand, and returns their numbers.
func (s *deployment) quarantined(t *testing.T, fixture *fixture) []string {
	t.Helper()
	var numbers []string
	js := s.JetStream(asUser("admin"))
	for _, event := range []string{"visitor_arrived", "visitor_left"} {
		fixture.relay.must(200, "REJECTED", webhook(event, noon, "Ada"))
		stream, err := js.Stream(t.Context(), visit.DefaultQuarantineStream)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, fmt.Sprint(stream.CachedInfo().State.LastSeq))
	}
	return numbers
}

// writeAliases writes settings that know the events' new names.
func writeAliases(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte("defaults: {kindAliases: {visitor_arrived: checked_in, visitor_left: checked_out}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// runAdmin makes a stream again, which changes nothing, and looks at its messages one
// after the other, as nats stream view does.
func runAdmin(t *testing.T, s *deployment, _ *fixture, user string) *role {
	said, running := &logtest.Buffer{}, newRunning(t)
	nc := s.connect(user)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := streamFiles(t)[visit.DefaultEventStream]
	cfg.Replicas = 1
	running.start(func(ctx context.Context) {
		_, err := js.CreateStream(ctx, cfg)
		fmt.Fprintln(said, "made:", err, nc.LastError())
		pager, err := js.CreateConsumer(ctx, cfg.Name, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: time.Minute})
		if err != nil {
			fmt.Fprintln(said, "page:", err)
			return
		}
		message, err := pager.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err == nil {
			err = message.DoubleAck(ctx)
		}
		fmt.Fprintln(said, "page:", err, nc.LastError())
	})
	return &role{said: said.String, stop: running.stop, again: func() {}}
}

// runDesk reads what a web page for the desk shows, and gives orders by the
// commands.
func runDesk(t *testing.T, s *deployment, fixture *fixture, user string) *role {
	said, running := &logtest.Buffer{}, newRunning(t)
	environ := environment(append(s.settings(user), "KEYS="+testKey)...)
	nc := s.connect(user)
	var busy atomic.Bool
	round := func(ctx context.Context) {
		defer busy.Store(false)
		for _, stream := range []string{visit.DefaultEventStream, visit.DefaultDecisionStream} {
			_, err := nc.Request("$JS.API.DIRECT.GET."+stream, []byte(`{"seq":1}`), 2*time.Second)
			fmt.Fprintln(said, "read", stream, err, nc.LastError())
		}
		for _, line := range []string{
			"lockdown --message Fire --unknown-site --site " + user, "lockdown lift --site " + user,
			"override --accept --for 1m --reason test --unknown-site --site " + user, "override lift --site " + user,
			"orders", "deciders",
		} {
			if ctx.Err() != nil {
				return
			}
			code, out, errOut := commandLine(environ, strings.Fields(line)...)
			fmt.Fprintf(said, "%s: %d\n%s%s\n", line, code, out, errOut)
		}
	}
	again := func() {
		if busy.CompareAndSwap(false, true) {
			running.start(round)
		}
	}
	again()
	return &role{said: said.String, stop: running.stop, again: again}
}
