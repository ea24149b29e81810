//go:build linux && faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// plan is what a seed stands for: the same seed is the same plan.
type plan struct {
	seed   uint64
	layout layout
	steps  []step
}

// namedFault is a fault with its name.
type namedFault struct {
	name   string
	inject fault
}

// step is one namedFault within a plan.
type step struct {
	namedFault
	after, lasting time.Duration // after is from the beginning of the plan
	pick           int
}

const (
	relayIsPaused    = "a relay is paused"
	diskTakesNothing = "a disk takes nothing"
	spoolIsRemoved   = "a spool is removed"
)

// The faults that a plan may hold.
var (
	everywhere = []namedFault{
		{"a relay is killed", relayKilled},
		{"a relay ends", relayEnded},
		{relayIsPaused, relayPaused},
		{"a node is killed", nodeKilled},
		{"a node is paused", nodePaused},
		{"a node ends", nodeEnded},
		{"the stream is full", streamFull},
		{"the stream is full and deleted", fullStreamDeleted},
		{"the permission is revoked", permissionRevoked},
		{"the password is changed", passwordChanged},
		{"a spool is cut short", spoolDamaged(truncated)},
		{"a spool is overwritten", spoolDamaged(overwritten)},
		{diskTakesNothing, filesBounded},
		{spoolIsRemoved, spoolRemoved},
	}
	// A relay sends again what its one server has lost. Of a cluster's store nobody promises that.
	onlyAlone = []namedFault{
		{"NATS comes back with an older store", storeRolledBack},
		{"NATS comes back with an empty store", storeEmptied},
	}
	onlyThroughProxies = []namedFault{
		{"the network is cut", networkCut},
		{"NATS accepts connections and says nothing", networkMute},
		{"the network stalls", networkStalled},
		{"the network loses what goes up", networkDeafUp},
		{"the network loses what comes down", networkDeafDown},
		{"the network is slow", networkSlow},
		{"connections are reset within a frame", networkResets},
	}
	onlyInClusters = []namedFault{
		{"the leader is killed", leaderKilled},
		{"the leader is paused", leaderPaused},
		{"each node in turn", everyNodeInTurn},
	}
)

func planOf(seed uint64) plan {
	rng := rand.New(rand.NewPCG(seed, 0))
	p := plan{seed: seed}
	p.layout = layout{
		nodes: 1, relays: 1 + rng.IntN(2), senders: 4 + rng.IntN(8),
		role: roleBoundedFiles, proxied: rng.IntN(2) == 0, echo: rng.IntN(6) == 0,
	}
	possible := append([]namedFault(nil), everywhere...)
	if rng.IntN(10) < 4 {
		p.layout.nodes = 3
		possible = append(possible, onlyInClusters...)
	} else {
		possible = append(possible, onlyAlone...)
	}
	if p.layout.proxied {
		possible = append(possible, onlyThroughProxies...)
	}
	var at time.Duration
	for range 2 + rng.IntN(4) {
		one := step{
			namedFault: possible[rng.IntN(len(possible))],
			after:      at, lasting: 200*time.Millisecond + below(rng, 2800*time.Millisecond), pick: rng.IntN(1000),
		}
		p.steps = append(p.steps, one)
		at += below(rng, one.lasting*3/2) // often before the last one is over
	}
	p.keepWhatNATSLoses()
	if rng.IntN(5) == 0 {
		p.layout.settings = hurry
	}
	if rng.IntN(2) == 0 { // with so many that there are batches
		p.layout.groupCommit, p.layout.synced = "on", rng.IntN(2) == 0
		p.layout.senders += 24
	}
	return p
}

// keepWhatNATSLoses leaves out what takes away what a relay would send again, where NATS
// loses its store: nobody promises to survive both.
func (p *plan) keepWhatNATSLoses() {
	if slices.ContainsFunc(onlyAlone, func(f namedFault) bool { return p.has(f.name) }) {
		p.steps = slices.DeleteFunc(p.steps, func(s step) bool { return s.name == spoolIsRemoved || s.name == diskTakesNothing })
	}
}

func (p plan) has(name string) bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.name == name })
}

// kind is what the plan is counted under.
func (p plan) kind() string {
	servers, together := "one server", "off"
	if p.layout.nodes > 1 {
		servers = "a cluster"
	}
	if p.layout.groupCommit != "" {
		together = p.layout.groupCommit
	}
	return fmt.Sprintf("random plans, %s, group commit %s", servers, together)
}

func below(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d)))
}

func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d nodes, %d relays, %d senders", p.seed, p.layout.nodes, p.layout.relays, p.layout.senders)
	if p.layout.proxied {
		b.WriteString(", proxies between them")
	}
	if p.layout.echo {
		b.WriteString(", all events to all relays")
	}
	if p.layout.groupCommit != "" {
		b.WriteString(", group commit " + p.layout.groupCommit)
	}
	if p.layout.synced {
		b.WriteString(", NATS syncs each message")
	}
	for _, s := range p.layout.settings {
		b.WriteString(", " + s)
	}
	for _, s := range p.steps {
		fmt.Fprintf(&b, "\n  after %4d ms, for %4d ms, pick %3d: %s", s.after.Milliseconds(), s.lasting.Milliseconds(), s.pick, s.name)
	}
	return b.String()
}

// run has everything go wrong that is planned.
func (p plan) run(r *fixture) {
	var injecting sync.WaitGroup
	for _, s := range p.steps {
		injecting.Go(func() {
			hold(s.after)
			if err := s.inject(r, s.lasting, s.pick); err != nil {
				r.report(fmt.Errorf("%s: %w", s.name, err))
			}
		})
	}
	injecting.Wait()
}

// mayRefuse reports whether the plan leaves a relay without time or room.
func (p plan) mayRefuse() bool {
	return p.layout.mayRefuse() || p.has(diskTakesNothing) || p.has(relayIsPaused)
}

func TestFaults_RandomPlansLoseNothing(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		for _, together := range []string{"", "on"} {
			closing.announce(plan{layout: layout{nodes: nodes, groupCommit: together}}.kind())
		}
	}
	for i := range *flagRuns {
		p := planOf(*flagSeed + uint64(i))
		t.Run(fmt.Sprintf("seed %d", p.seed), func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, p.layout)
			v := r.run(p.seed, func() { p.run(r) })
			closing.add(p.kind(), v)
			r.demand(v)
			if !p.mayRefuse() {
				r.demandNoRefusals(v)
			}
			if t.Failed() {
				t.Logf("%s\nagain: .ci/faults 1 %d", p, p.seed)
			}
		})
	}
}

func TestFaults_SeedDeterminesThePlan(t *testing.T) {
	for seed := range uint64(100) {
		if a, b := planOf(seed).String(), planOf(seed).String(); a != b {
			t.Errorf("%s\nand then %s", a, b)
		}
	}
}
