package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
)

// trial is a series of cuts in one scenario, on a disk that is formatted for it.
type trial struct {
	scenario
	ctx      context.Context
	programs string
	dir      string // on a disk that keeps its power
	cuts     int
	losses   []string

	machine *machine
	relay   *relay
	nats    server
	server  *process // of nats
	stops   []func() // of what calls the relay

	ledger  *ledger
	orders  orders
	devKey  string
	keys    int           // that dev made
	took    time.Duration // by the last start
	before  int           // what was acknowledged before this load
	stored  int           // what was last found in the stream
	lastCut string
	done    counts
}

// steps are what happens between power on and the cut.
type steps []func() error

// take takes one after the other until one fails.
func (all steps) take() error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// life gives the machine power, takes the steps, and cuts the power.
func (t *trial) life(all ...func() error) error {
	err := t.last(all...)
	if err == nil {
		t.done.cuts++
	}
	return err
}

// last is a life that only looks at what the cuts before it left.
func (t *trial) last(all ...func() error) error {
	err := t.machine.on()
	if err == nil {
		err = steps(all).take()
	}
	if err == nil {
		err = t.cut()
	}
	if err != nil {
		err = errors.Join(err, t.machine.off())
	}
	t.stop()
	return err
}

// more reports whether there are cuts to be made.
func (t *trial) more() bool { return t.done.cuts < t.cuts }

// cut loses all or a random part, in turn.
func (t *trial) cut() error {
	loss := t.losses[t.done.cuts%len(t.losses)]
	sectors, err := t.machine.cut(loss)
	t.done.sectors += sectors
	t.lastCut = fmt.Sprintf("cut %d on %s (loss %s: %d sectors)", t.done.cuts+1, t.machine.system, loss, sectors)
	return err
}

// stop ends what calls the relay, once the power is off.
func (t *trial) stop() {
	for _, stop := range t.stops {
		stop()
	}
	t.stops = nil
}

// program is one of those that were built.
func (t *trial) program(name string) string { return filepath.Join(t.programs, name) }

// data is a path on the disk that loses its power.
func (t *trial) data(name string) string { return filepath.Join(t.machine.data(), name) }

// launch starts a relay on the machine.
func (t *trial) launch(verb string, settings ...string) error {
	return t.run(t.machine.launch, verb, settings...)
}

func (t *trial) run(by func(string, *exec.Cmd) (*process, error), verb string, settings ...string) error {
	r := &relay{key: key, program: t.program("sine-relay"), began: time.Now()}
	p, err := by("relay", newRelay(r.program, verb, settings...))
	if err != nil {
		return err
	}
	r.process, t.relay = p, r
	return nil
}

// ready waits until the relay is.
func (t *trial) ready() error { return t.started(t.relay.ready(t.ctx)) }

// listens is for a relay that is not ready soon, since its NATS is away.
func (t *trial) listens() error { return t.started(t.relay.listens(t.ctx)) }

func (t *trial) started(err error) error {
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, t.relay.tail())
	}
	t.took = time.Since(t.relay.began)
	t.done.starts++
	t.done.slowest = max(t.done.slowest, t.took)
	return nil
}

// embedded is a relay with the NATS in it.
func (t *trial) embedded() error {
	return t.launch("serve", "KEYS="+key, "NATS_STORE_DIR="+t.data("nats"), "NATS_LISTEN=127.0.0.1:0")
}

// open starts such a relay, and looks at what it has kept.
func (t *trial) open() error { return steps{t.embedded, t.ready, t.auditEmbedded}.take() }

func (t *trial) auditEmbedded() error {
	user, password, err := as("admin", t.data("nats"))
	if err != nil {
		return err
	}
	stream, err := readStream(t.ctx, t.relay.nats, nats.UserInfo(user, password))
	if err != nil {
		return err
	}
	return t.settle(stream, nil)
}

// settle compares what is stored with what was acknowledged.
func (t *trial) settle(stream []stored, spooled []string) error {
	t.stored = len(stream)
	t.note(t.ledger.settle(stream, spooled))
	return nil
}

// note counts what was found, and says after which cut.
func (t *trial) note(f findings) {
	t.done.add(f)
	if f != (findings{}) && !t.machine.lying {
		fmt.Printf("  %d missing, %d twice, %d altered after %s\n", f.missing, f.twice, f.altered, t.lastCut)
	}
}

// call begins to call the relay.
func (t *trial) call() error {
	t.before = t.ledger.answered()
	t.stops = append(t.stops, startLoad(t.ctx, t.relay, t.ledger))
	return nil
}

// wait lets the load go on for a while after the first acknowledgement.
func (t *trial) wait() error {
	err := await(t.ctx, "the relay acknowledges an event", startTimeout, func() bool { return t.ledger.answered() > t.before })
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, t.relay.tail())
	}
	return t.sleep(0, 600*time.Millisecond)
}

// moment is while a relay starts, or soon after.
func (t *trial) moment() error {
	if t.took == 0 {
		t.took = 200 * time.Millisecond
	}
	return t.sleep(0, t.took*3/2)
}

func (t *trial) sleep(least, most time.Duration) error {
	if !sleep(t.ctx, least+rand.N(most-least)) {
		return context.Cause(t.ctx)
	}
	return nil
}
