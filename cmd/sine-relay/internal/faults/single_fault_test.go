//go:build linux && faults

package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// scenario is one fault under load.
type scenario struct {
	name    string
	layout  layout
	inject  fault
	lasting float64 // seconds
}

// Layouts that several scenarios share.
var (
	alone    = layout{}
	inside   = layout{embedded: true}
	distant  = layout{proxied: true}
	pair     = layout{relays: 2}
	cluster  = layout{nodes: 3}
	clusters = layout{nodes: 3, relays: 2}
	hasty    = layout{proxied: true, settings: hurry}
)

// hurry is so little time that an event's ends before a relay knows that NATS is
// silent.
var hurry = []string{"STORE_BUDGET=400ms"}

var scenarios = []scenario{
	{"a relay is killed", alone, thrice(relayKilled), 0.2},
	{"a relay ends under load", alone, relayEnded, 0.5},
	{"a relay is paused", alone, relayPaused, 1.5},
	{"a relay is killed while NATS is away", alone, whileNATSIsAway(relayKilled), 0.5},
	{"a relay ends while NATS is away", alone, whileNATSIsAway(relayEnded), 0.5},
	{"a relay is killed while its spool empties", alone, whileTheSpoolEmpties(relayKilled), 0.05},
	{"a relay with NATS inside is killed", inside, thrice(relayKilled), 0.2},
	{"a relay with NATS inside ends", inside, relayEnded, 0.2},
	{"a relay without a spool, and NATS is killed", layout{settings: []string{"SPOOL_DIR="}}, nodeKilled, 3},
	{"NATS is killed", alone, nodeKilled, 1},
	{"NATS is paused", alone, nodePaused, 2.5},
	{"NATS ends and starts again", alone, nodeEnded, 1},
	{"NATS comes back with an older store", alone, noticed(storedAndRolledBack), 1},
	{"NATS comes back with an empty store", alone, noticed(storeEmptied), 1},
	{"a relay is killed, and NATS loses its store", alone, sinceLastLife(storeEmptied), 0.5},
	{"NATS loses its store while no relay runs", pair, whileNoRelayRuns(storeEmptied), 0.2},
	{"the clock is set back while NATS loses its store", layout{stepped: true}, clockStepsDuringALoss, 1},
	{"the network is cut", distant, networkCut, 1.5},
	{"NATS accepts connections and says nothing", distant, networkMute, 2.5},
	{"the network stalls", distant, networkStalled, 2.5},
	{"the network loses what goes up", distant, networkDeafUp, 2},
	{"it does, and events have little time", hasty, networkDeafUp, 2},
	{"the network loses what comes down", distant, networkDeafDown, 2},
	{"the network is slow", distant, networkSlow, 2},
	{"connections are reset within a frame", distant, networkResets, 2},
	{"the stream is full", alone, streamFull, 1.5},
	{"the stream is deleted", alone, streamDeleted, 1},
	{"the stream is full and deleted", alone, fullStreamDeleted, 1},
	{"the permission is revoked", alone, permissionRevoked, 1.5},
	{"the password is changed", alone, passwordChanged, 1.5},
	{"the credentials expire", layout{expiring: 4 * time.Second}, credentialsExpire, 1},
	{"a spool is cut short", alone, whileNATSIsAway(spoolDamaged(truncated)), 0.1},
	{"a spool is overwritten", alone, whileNATSIsAway(spoolDamaged(overwritten)), 0.1},
	{"a spool is removed", alone, whileNATSIsAway(eachRemoval), 0.1},
	{"the store of the NATS inside is removed", inside, storeRemoved, 0.5},
	{"the clock is years behind at the start", layout{embedded: true, stepped: true}, clockBehindAtTheStart, 1},
	{"two relays, one of them killed", pair, relayKilled, 0.5},
	{"two relays, and NATS is killed", pair, nodeKilled, 1},
	{"two relays, and the stream is deleted", pair, streamDeleted, 1},
	{"all comes to two relays at once", layout{relays: 2, echo: true}, nodeKilled, 1},
	{"a cluster's leader is killed", cluster, leaderKilled, 1},
	{"a cluster's leader is paused", clusters, leaderPaused, 3},
	{"each node of a cluster in turn", cluster, everyNodeInTurn, 1},
}

func TestFaults_SingleOnesLoseNothing(t *testing.T) {
	for _, s := range scenarios {
		closing.announce(s.name)
		t.Run(s.name, s.run)
	}
}

func (s scenario) run(t *testing.T) {
	t.Parallel()
	r := newFixture(t, s.layout)
	v := r.run(1, func() { r.report(s.inject(r, seconds(s.lasting), 0)) })
	closing.add(s.name, v)
	r.demand(v)
	if !s.layout.mayRefuse() {
		r.demandNoRefusals(v)
	}
}

// thrice has the same happen again as soon as calls are answered again.
func thrice(inject fault) fault {
	return func(r *fixture, lasting time.Duration, pick int) (err error) {
		for range 3 {
			err = errors.Join(err, inject(r, lasting, pick), r.more(warmUp))
		}
		return err
	}
}

// eachRemoval removes a relay's spool in every way.
func eachRemoval(r *fixture, lasting time.Duration, _ int) (err error) {
	for pick := range 3 {
		err = errors.Join(err, spoolRemoved(r, lasting, pick), r.more(warmUp))
	}
	return err
}

// more waits until so many further calls are answered.
func (r *fixture) more(calls int64) error {
	from := r.load.answered.Load()
	return await("calls are answered", func() bool { return r.load.answered.Load() >= from+calls })
}

// whileTheSpoolEmpties has something inject a relay that sends what waited, and
// once more as soon as it does so again.
func whileTheSpoolEmpties(inject fault) fault {
	return func(r *fixture, lasting time.Duration, pick int) error {
		n, one := r.oneNode(0), r.oneRelay(pick)
		n.process.kill()
		err := errors.Join(r.more(6*warmUp), n.start())
		for range 2 {
			err = errors.Join(err, await("the spool empties", func() bool {
				m, err := one.read()
				return err == nil && m.spool("forwarded_total") > 0
			}), inject(r, lasting, pick))
		}
		return err
	}
}

// whileNATSIsAway has something inject a relay with messages in its spool.
func whileNATSIsAway(inject fault) fault {
	return func(r *fixture, lasting time.Duration, pick int) error {
		n := r.oneNode(0)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.process.kill()
		return errors.Join(r.more(warmUp), inject(r, lasting, pick), r.more(warmUp), n.start())
	}
}

// demand fails the test for whatever the audit found.
func (r *fixture) demand(v *verdict) {
	r.t.Helper()
	for _, note := range v.notes {
		r.t.Error(note)
	}
	if len(v.notes) > 0 {
		r.t.Log(r.logs(15))
	}
}

// demandNoRefusals is for a fixture whose spools have room. Only where the machine
// stood still may a relay have run out of time.
func (r *fixture) demandNoRefusals(v *verdict) {
	r.t.Helper()
	still := machine.longest(r.begun)
	all := r.refusals()
	if v.refused > 0 && len(all) == 0 {
		r.t.Errorf("%d were refused, and no line of the log says why", v.refused)
	}
	for fault, count := range all {
		if still > 0 && outOfTime(fault) {
			r.t.Logf("the machine stood still for %s, and %d were refused: %s", still, count, fault)
			continue
		}
		r.t.Errorf("%d were refused although there is room in the spools: %s", count, fault)
	}
}

func outOfTime(fault string) bool {
	return strings.Contains(fault, "put into spool: context deadline exceeded") || strings.Contains(fault, "overloaded")
}

// refusals are the reasons that the relays log, and how often.
func (r *fixture) refusals() map[string]int {
	faults := map[string]int{}
	for _, one := range r.relays {
		for line := range strings.Lines(one.out.since(0)) {
			var said struct{ Result, Err string }
			if strings.Contains(line, "refused") && json.Unmarshal([]byte(line), &said) == nil && said.Result == "refused" {
				faults[said.Err]++
			}
		}
	}
	return faults
}

const (
	// warmUp calls are answered before anything goes wrong, and recovery of
	// each relay's go straight to the stream afterwards.
	warmUp   = 100
	recovery = 10
)

// run has senders call while something goes wrong, and audits.
func (r *fixture) run(seed uint64, wrong func()) *verdict {
	r.t.Helper()
	r.load.start(r.senders, seed)
	defer r.load.stop()
	r.must(await("calls are answered", func() bool { return r.load.answered.Load() > warmUp }))
	wrong()
	for _, one := range r.relays {
		r.report(r.recovered(one))
	}
	r.load.stop()
	return r.audit()
}

// recovered waits until a relay stores straight in the stream again.
func (r *fixture) recovered(one *relay) error {
	from := -1
	return await(fmt.Sprintf("relay %d stores in the stream again", one.number), func() bool {
		m, err := one.read()
		if err != nil {
			return !one.process.running() // a fault's end
		}
		if from < 0 {
			from = m.settled("stored")
		}
		return m.settled("stored") >= from+recovery
	})
}

// audit waits until nothing is on its way any more, and judges.
func (r *fixture) audit() *verdict {
	r.t.Helper()
	e := &evidence{calls: r.load.record(), excused: r.excuses()}
	for _, one := range r.relays {
		if one.process.running() {
			e.books = append(e.books, r.close(one))
		}
	}
	var v *verdict
	// What NATS has lost comes again, and does not show before it is stored.
	_ = awaitFor(patience/6, "", func() bool {
		v = r.look(e)
		return v.missing == 0
	})
	v.spooled = r.sum(func(m metrics) int { return m.settled("spooled") })
	v.resent = r.sum(func(m metrics) int { return int(m["sine_relay_window_resent_total"]) })
	for _, problem := range r.problems {
		v.fault(&v.strange, "%v", problem)
	}
	return v
}

// look judges what is in the streams now.
func (r *fixture) look(e *evidence) *verdict {
	r.t.Helper()
	var err error
	e.events, err = r.auditor.messages(visit.DefaultEventStream)
	r.must(err)
	e.quarantine, err = r.auditor.messages(visit.DefaultQuarantineStream)
	r.must(err)
	return e.judge()
}

// close reads a relay's ledger once its spool is empty and nothing is in
// flight. What does not come to rest is left to the judgement.
func (r *fixture) close(one *relay) book {
	_, life := one.where()
	b := book{relay: one.number, life: life}
	read := func(at func(metrics) bool) func() bool {
		return func() bool {
			m, err := one.read()
			if err == nil {
				b.metrics = m
			}
			return err == nil && at(m)
		}
	}
	for waiting := math.MaxInt; waiting > 0; { // on a busy machine it takes a while, but goes on
		before := waiting
		err := await(fmt.Sprintf("relay %d empties its spool", one.number), read(func(m metrics) bool {
			waiting = min(waiting, int(m.spool("messages")))
			return waiting == 0 || waiting < before
		}))
		if err != nil {
			r.report(err)
			break
		}
	}
	// This gives it time; whether it balances is judged.
	_ = awaitFor(patience/10, "", read(metrics.balanced))
	return b
}

// sum adds up what the relays counted in all their lives, as far as they lived to
// tell.
func (r *fixture) sum(of func(metrics) int) (all int) {
	for _, one := range r.relays {
		for _, m := range one.known {
			all += of(m)
		}
	}
	return all
}

// logs are the ends of what everybody printed.
func (r *fixture) logs(lines int) string {
	var all string
	for _, n := range r.nodes {
		all += fmt.Sprintf("-- %s\n%s\n", n.name, n.out.tail(lines))
	}
	for _, one := range r.relays {
		all += fmt.Sprintf("-- relay %d\n%s\n", one.number, one.out.tail(lines))
	}
	return all
}

// seconds makes durations short to write.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// A volume that a relay leaves behind, in whatever way it ended, is emptied by
// the command for it.
func TestSpool_LeftoverIsEmptiedByTheCommand(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*relay) error
	}{
		{"left behind by a relay that ended", (*relay).terminate},
		{"left behind by a relay that was killed", func(one *relay) error { one.kill(); return nil }},
	} {
		closing.announce(c.name)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, layout{})
			one, n := r.relays[0], r.nodes[0]
			v := r.run(1, func() {
				n.process.kill()
				r.report(r.more(warmUp))
				r.report(c.end(one)) // while calls come
				r.load.stop()
				r.report(n.start())
				out, err := one.command(r.programs, "spool", "drain", "--dir", one.spool)
				r.report(err)
				if !strings.Contains(out, "sent, 0 left.") {
					t.Errorf("spool drain: %s", out)
				}
			})
			closing.add(c.name, v)
			r.demand(v)
			r.demandNoRefusals(v)
			if v.spooled == 0 {
				t.Error("nothing was spooled")
			}
		})
	}
}

// At the end of a day everybody leaves at once, and a cluster's leader dies in
// the middle of it.
func TestCluster_CheckOutBurstSurvivesAKilledLeader(t *testing.T) {
	const name, checkOuts, lasting = "5000 check-outs, a leader is killed", 5000, 10 * time.Second
	r := newFixture(t, layout{nodes: 3})
	a := &author{rng: rand.New(rand.NewPCG(1, 1)), name: r.load.mark}
	var bodies []*event
	for range checkOuts {
		bodies = append(bodies, a.event(visit.KindCheckedOut, a.next()))
	}
	leader, err := r.leader()
	r.must(err)

	tick := time.NewTicker(lasting / checkOuts)
	defer tick.Stop()
	var calling sync.WaitGroup
	for i, f := range bodies {
		<-tick.C
		calling.Go(func() { r.load.post(f, r.relays[0]) })
		if i == checkOuts/2 {
			calling.Go(func() { r.report(leader.die(4 * time.Second)) })
		}
	}
	calling.Wait()
	v := r.audit()
	closing.add(name, v)
	closing.note(fmt.Sprintf("%s: %d of %d kept, longest wait %d ms", name, v.kept, v.sent, v.longest.Milliseconds()))
	r.demand(v)
	r.demandNoRefusals(v)
	if v.sent != checkOuts || v.stored != v.kept {
		t.Errorf("%d were sent, %d answered 200, %d are stored", v.sent, v.kept, v.stored)
	}
}
