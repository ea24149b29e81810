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

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/desk"
	"github.com/sine-relay/sine-relay/broker/natstest"
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

// openDesk opens the desk's way to NATS, and waits until it is connected.
func openDesk(t *testing.T, s *natstest.Server, auth dial.Auth, log *logtest.Buffer) *desk.Desk {
	t.Helper()
	d, err := desk.Open(desk.Config{Config: admin.Config{NATS: dial.Config{Servers: []string{s.URL()}, Auth: auth}}, Logger: log.Text()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	eventually(t, "the desk is connected", func() bool { return d.Connected() == nil })
	return d
}

func auditEntry(site string) visit.Audit {
	return visit.Audit{ID: visit.NewRequestID(), Time: time.Now().UTC(), Action: visit.ActionReveal, Site: site, Subject: "e1", User: "ann", Role: "reception"}
}

// runDesk does all that the desk can.
func runDesk(t *testing.T, s *deployment, _ *fixture, user string) *role {
	said, running := &logtest.Buffer{}, newRunning(t)
	d := openDesk(t, s.Server, dial.Auth{User: user, Password: func() string { return "Zsecret" }}, said)
	ignore := func(error) {}
	running.start(func(ctx context.Context) {
		err := d.Follow(ctx, func(visit.Record) {}, func(visit.Event) {}, ignore)
		fmt.Fprintln(said, "follow:", err)
	})
	var busy atomic.Bool
	round := func(ctx context.Context) {
		defer busy.Store(false)
		var turns sync.WaitGroup
		defer turns.Wait()
		for _, one := range deskWork(d, user) {
			turns.Go(func() { // each of them may wait for what does not come
				ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				fmt.Fprintln(said, one.name, one.do(ctx))
			})
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

type deskTask struct {
	name string
	do   func(context.Context) error
}

// deskWork is what the desk does with each of its permissions, all at once.
func deskWork(d *desk.Desk, site string) []deskTask {
	since := time.Now().Add(-time.Hour)
	give := func(o visit.Order) func(context.Context) error {
		return func(ctx context.Context) error {
			o.Site, o.Reason, o.Until = site, "test", time.Now().Add(time.Minute)
			given, err := d.GiveOrder(ctx, o)
			if err != nil {
				return err
			}
			_, err = d.LiftOrder(ctx, visit.Lift{Kind: o.Kind, Site: site, Lifts: given.ID})
			return err
		}
	}
	return []deskTask{
		{"events", func(ctx context.Context) error {
			return d.Events(ctx, "", since, time.Time{}, func(visit.Event) error { return nil })
		}},
		{"records", func(ctx context.Context) error {
			return d.Records(ctx, "", "", since, time.Time{}, func(visit.Record) error { return nil })
		}},
		{"quarantine", func(ctx context.Context) error {
			return d.Quarantined(ctx, func(uint64, time.Time, visit.Quarantined) error { return nil })
		}},
		{"audit", func(ctx context.Context) error { return d.Audit(ctx, auditEntry(site)) }},
		{"audits", func(ctx context.Context) error {
			return d.Audits(ctx, since, time.Time{}, func(visit.Audit) error { return nil })
		}},
		{"how full that is", func(ctx context.Context) error { _, err := d.AuditFilled(ctx); return err }},
		{"relays", func(ctx context.Context) error { _, err := d.Relays(ctx); return err }},
		{"deciders", func(ctx context.Context) error { _, err := d.Deciders(ctx); return err }},
		{"orders", func(ctx context.Context) error { _, err := d.Orders(ctx); return err }},
		{"lockdown", give(visit.Order{Kind: visit.OrderLockdown})},
		{"override", give(visit.Order{Kind: visit.OrderOverride})},
	}
}
