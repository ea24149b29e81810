//go:build linux && faults

package faults

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// scenario is one fault under load.
type scenario struct {
	name    string
	layout  layout
	befall  fault
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
	{"all comes to two relays at once", layout{relays: 2, echo: true}, nodeKilled, 1},
	{"a cluster's leader is killed", cluster, leaderKilled, 1},
	{"a cluster's leader is paused", clusters, leaderPaused, 3},
	{"each node of a cluster in turn", cluster, everyNodeInTurn, 1},
}

func TestSingleFaults(t *testing.T) {
	for _, s := range scenarios {
		closing.announce(s.name)
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, s.layout)
			v := r.play(1, func() { r.report(s.befall(r, seconds(s.lasting), 0)) })
			closing.add(s.name, v)
			r.demand(v)
			if len(s.layout.settings) == 0 {
				r.demandNoRefusals(v)
			}
		})
	}
}

// thrice has the same happen again as soon as calls are answered again.
func thrice(befall fault) fault {
	return func(r *rig, lasting time.Duration, pick int) (err error) {
		for range 3 {
			err = errors.Join(err, befall(r, lasting, pick), r.more(warmUp))
		}
		return err
	}
}

// eachRemoval removes a relay's spool in every way.
func eachRemoval(r *rig, lasting time.Duration, _ int) (err error) {
	for pick := range 3 {
		err = errors.Join(err, spoolRemoved(r, lasting, pick), r.more(warmUp))
	}
	return err
}

// more waits until so many further calls are answered.
func (r *rig) more(calls int64) error {
	from := r.load.answered.Load()
	return await("calls are answered", func() bool { return r.load.answered.Load() >= from+calls })
}

// whileTheSpoolEmpties has something befall a relay that sends what waited, and
// once more as soon as it does so again.
func whileTheSpoolEmpties(befall fault) fault {
	return func(r *rig, lasting time.Duration, pick int) error {
		n, one := r.oneNode(0), r.oneRelay(pick)
		n.process.kill()
		err := errors.Join(r.more(6*warmUp), n.start())
		for range 2 {
			err = errors.Join(err, await("the spool empties", func() bool {
				m, err := one.read()
				return err == nil && m.spool("forwarded_total") > 0
			}), befall(r, lasting, pick))
		}
		return err
	}
}

// whileNATSIsAway has something befall a relay with messages in its spool.
func whileNATSIsAway(befall fault) fault {
	return func(r *rig, lasting time.Duration, pick int) error {
		n := r.oneNode(0)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.process.kill()
		return errors.Join(r.more(warmUp), befall(r, lasting, pick), r.more(warmUp), n.start())
	}
}

// demand fails the test for whatever the audit found.
func (r *rig) demand(v *verdict) {
	r.t.Helper()
	for _, note := range v.notes {
		r.t.Error(note)
	}
	if len(v.notes) > 0 {
		r.t.Log(r.logs(15))
	}
}

// demandNoRefusals is for a rig whose spools have room. Only where the machine
// stood still may a relay have run out of time.
func (r *rig) demandNoRefusals(v *verdict) {
	r.t.Helper()
	still := heart.longest(r.begun)
	for fault, count := range r.refusals() {
		if still > 0 && outOfTime(fault) {
			r.t.Logf("the machine stood still for %s, and %d were refused: %s", still, count, fault)
			continue
		}
		r.t.Errorf("%d were refused although there is room in the spools: %s", count, fault)
	}
}

func outOfTime(fault string) bool {
	return strings.Contains(fault, "put into spool: context deadline exceeded") || strings.Contains(fault, "too much at once")
}

// refusals are the reasons that the relays log, and how often.
func (r *rig) refusals() map[string]int {
	faults := map[string]int{}
	for _, one := range r.relays {
		for line := range strings.Lines(one.out.since(0)) {
			var said struct{ Outcome, Fault string }
			if strings.Contains(line, "refused") && json.Unmarshal([]byte(line), &said) == nil && said.Outcome == "refused" {
				faults[said.Fault]++
			}
		}
	}
	return faults
}
