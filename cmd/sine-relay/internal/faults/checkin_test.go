//go:build linux && faults

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// checkInScenario is one fault while visitors check in.
type checkInScenario struct {
	name     string
	layout   layout
	deciders int
	inject   fault
	lasting  float64 // seconds
	// mayReject is the share of visitors whom the fault may cost their
	// decision, in per cent; they are rejected, and never let in.
	mayReject int
}

// Of those who come while one of two hangs, half reach it first, and half of
// these again.
var checkInScenarios = []checkInScenario{
	{"one of two deciders hangs", layout{}, 2, deciderHangs, 8, 24},
	{"one of two deciders is killed", layout{}, 2, deciderKilled, 2, 0},
	{"a stream takes the check-in requests", layout{}, 1, requestsStored, 3, 0},
	{"each node of a cluster is taken down for an update", layout{nodes: 3}, 2, everyNodeRetired, 1, 0},
	{"the clock steps", layout{stepped: true}, 1, clockSteps, 4, 0},
}

func TestCheckIn_SurvivesInjectedFaults(t *testing.T) {
	for _, s := range checkInScenarios {
		closing.announce(s.name)
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, s.layout)
			r.startDeciders(s.deciders)
			visitors, stop := r.checkInVisitors()
			v := r.run(1, func() {
				r.report(visitors.more(warmUp))
				r.report(s.inject(r, seconds(s.lasting), 0))
				r.report(visitors.more(warmUp))
				stop()
			})
			closing.add(s.name, v)
			r.demand(v)
			d := visitors.verdict()
			closing.addCheckIns(s.name, d)
			r.demandDecisions(d, s.mayReject)
		})
	}
}

// more waits until so many further visitors have their answer.
func (v *visitors) more(count int) error {
	from := v.answered()
	return await("visitors are answered", func() bool { return v.answered() >= from+count })
}

// demandDecisions fails the test for a wrong answer, for none, and for more
// visitors without a decision than the fault may cost. Where the machine stood
// still for long, a decision may have come too late.
func (r *fixture) demandDecisions(v *checkInVerdict, mayReject int) {
	r.t.Helper()
	still := machine.longest(r.begun)
	late := still > time.Second && v.undecided*100 < v.asked*(mayReject+10)
	if v.clean() && (v.undecided*100 <= v.asked*mayReject || late) {
		return
	}
	r.t.Errorf("of %d visitors %d got no decision, %d a wrong one, %d not at all; the longest waited for %s",
		v.asked, v.undecided, v.wrong, v.unanswered, v.longest)
	for _, note := range v.notes {
		r.t.Log(note)
	}
	r.t.Log(r.logs(15))
}

func deciderHangs(r *fixture, lasting time.Duration, pick int) error {
	one := r.deciders[pick%len(r.deciders)]
	one.signal(syscall.SIGSTOP)
	hold(lasting)
	one.signal(syscall.SIGCONT)
	return nil
}

func deciderKilled(r *fixture, lasting time.Duration, pick int) error {
	r.deciders[pick%len(r.deciders)].kill()
	hold(lasting)
	return nil
}

// requestsStored has JetStream acknowledge every check-in request.
func requestsStored(r *fixture, lasting time.Duration, _ int) error {
	const name = "REQUESTS"
	err := persist("a stream takes the check-in requests", func(ctx context.Context) error {
		_, err := r.auditor.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{"visitors.v1.ask.>"}})
		return err
	})
	hold(lasting)
	return errors.Join(err, r.auditor.delete(name))
}

// everyNodeRetired is how Kubernetes updates a cluster: each server tells its
// clients that it will end, and ends.
func everyNodeRetired(r *fixture, lasting time.Duration, _ int) error {
	for _, n := range r.nodes {
		if err := errors.Join(n.retire(lasting), r.whole()); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) retire(lasting time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process.signal(syscall.SIGUSR2)
	select {
	case <-n.process.ended:
	case <-time.After(patience):
		return errors.New(n.name + " does not end")
	}
	hold(lasting)
	return n.start()
}

const (
	// visitorRate is how many check-in requests there are in a second.
	visitorRate = 40
	// slowness is the pause within the body of every eighth.
	slowness = 700 * time.Millisecond
	// tooLate is far above what a visitor may have to wait.
	tooLate = 20 * time.Second
)

// visitors come to the relays in turn, every third of them barred.
type visitors struct {
	fixture *fixture
	count   atomic.Int64

	mu  sync.Mutex
	sum checkInVerdict
}

// checkInVerdict is what visitors were answered. The counts from wrong on are
// faults; undecided are those whom a fallback rejects.
type checkInVerdict struct {
	asked, admitted, rejected, undecided int
	longest                              time.Duration

	wrong, unanswered int
	notes             []string
}

func (v *checkInVerdict) clean() bool { return v.wrong+v.unanswered == 0 && v.longest < tooLate }

func (v *checkInVerdict) note(format string, args ...any) {
	if len(v.notes) < maxNotes {
		v.notes = append(v.notes, fmt.Sprintf(format, args...))
	}
}

// answer is a body that Sine gets.
type answer struct{ Code, Message string }

// checkInVisitors sends visitors until stopped.
func (r *fixture) checkInVisitors() (v *visitors, stop func()) {
	v = &visitors{fixture: r}
	return v, openLoop(visitorRate, v.one)
}

func (v *visitors) one() {
	number := v.count.Add(1)
	at, life := v.fixture.relays[int(number)%len(v.fixture.relays)].where()
	if at.webhook == "" {
		return // it does not run
	}
	mayEnter, name := true, "Lovelace"
	if number%3 == 0 {
		mayEnter, name = false, barred
	}
	start := time.Now()
	body := io.Reader(strings.NewReader(fmt.Sprintf(`{"event":"signin_before","data":{"firstName":"Ada","lastName":%q}}`, name)))
	if number%8 == 0 {
		body = &slowBody{rest: body, pause: slowness}
	}
	said, err := v.ask(at.webhook, body)
	took := time.Since(start)
	if _, now := v.fixture.relays[int(number)%len(v.fixture.relays)].where(); err != nil && now != life {
		return // it ended meanwhile
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sum.add(mayEnter, said, took, err)
}

func (v *checkInVerdict) add(mayEnter bool, said answer, took time.Duration, err error) {
	v.asked++
	v.longest = max(v.longest, took)
	byDecider := strings.Contains(said.Message, atTheGate)
	switch {
	case err != nil:
		v.unanswered++
		v.note("no answer after %s: %v", took, err)
	case said.Code == "SUCCESS" && mayEnter:
		v.admitted++
	case said.Code == "REJECTED" && byDecider && !mayEnter:
		v.rejected++
	case said.Code == "REJECTED" && !byDecider:
		v.undecided++
		v.note("no decision after %s: %q", took, said.Message)
	default:
		v.wrong++
		v.note("may enter: %t, and the answer is %q, %q", mayEnter, said.Code, said.Message)
	}
}

func (v *visitors) ask(url string, body io.Reader) (said answer, err error) {
	req, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		return said, err
	}
	req.Header.Set("X-Sine-Auth", v.fixture.key)
	reply, err := v.fixture.load.client.Do(req)
	if err != nil {
		return said, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d %s", reply.StatusCode, text)
	}
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	return said, err
}

// slowBody is a body that comes over a bad line: one byte, a pause, and the rest.
type slowBody struct {
	rest  io.Reader
	begun bool
	pause time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		return b.rest.Read(p[:1])
	}
	if b.pause > 0 {
		hold(b.pause)
		b.pause = 0
	}
	return b.rest.Read(p)
}

// answered is how many visitors have their answer.
func (v *visitors) answered() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sum.asked
}

func (v *visitors) verdict() *checkInVerdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	sum := v.sum
	return &sum
}

// roleDecider makes this binary a decider of the servers that follow it.
const roleDecider = "decider"

const (
	barred      = "Barred" // the last name of whoever may not come in
	atTheGate   = "the decider says no"
	deciderIsUp = "the decider answers"
)

// decide answers check-in requests until the process ends.
func decide(servers string) error {
	nc, err := nats.Connect(servers, nats.UserInfo("audit", "audit"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), quiet)
	if err != nil {
		return err
	}
	cfg := subscriber.DeciderConfig{
		Sites: []string{"default"}, Version: "1.0.0",
		OnReady: func() { fmt.Println(deciderIsUp) },
	}
	return subscriber.Decide(context.Background(), nc, cfg, func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		if q.Person.LastName == barred {
			return visit.Decision{Verdict: visit.Reject, VisitorText: atTheGate}, nil
		}
		return visit.Decision{Verdict: visit.Accept}, nil
	})
}

// startDeciders runs processes that share the check-in requests.
func (r *fixture) startDeciders(count int) {
	r.t.Helper()
	var servers []string
	for _, n := range r.nodes {
		servers = append(servers, n.address())
	}
	for i := range count {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(cmd.Env, roleVariable+"="+roleDecider+":"+strings.Join(servers, ","))
		out := newOutput(r.t, fmt.Sprintf("decider-%d", i))
		p, err := launch(cmd, out)
		r.must(err)
		r.t.Cleanup(p.kill)
		r.must(await("a decider answers", func() bool { return strings.Contains(out.since(0), deciderIsUp) || !p.running() }))
		if !p.running() {
			r.t.Fatalf("the decider ended:\n%s", out.tail(10))
		}
		r.deciders = append(r.deciders, p)
	}
}
