package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// scenario is a way to run a relay, and what its disk's loss of power meets.
type scenario struct {
	name, about string
	// allowed is what docs/durability.md lets the scenario lose, or empty.
	allowed string
	lives   func(*trial) error
}

var scenarios = []scenario{
	{"embedded", "a relay with the NATS in it", "", embedded},
	{"spool", "a relay without NATS: everything goes to its spool", "", spool},
	{"forward-default", "a spool is forwarded to a NATS with the default sync_interval, whose machine loses power while the relay lives on",
		"what NATS had not synced", forwardDefault},
	{"forward-synced", "a spool is forwarded to a NATS with sync_interval: always, and both lose power", "", forwardSynced},
	{"first-start", "the first start of a relay, on an empty disk", "", firstStart},
	{"restart", "a relay that starts on what earlier cuts left", "", restart},
	{"orders", "a relay with the NATS in it, while lockdowns are given", "", lockdowns},
	{"dev", "sine-relay dev, whose API key is in a file of its own", "", dev},
}

func embedded(t *trial) error {
	for t.more() {
		if err := t.life(t.open, t.call, t.wait); err != nil {
			return err
		}
	}
	return t.last(t.open)
}

// restart cuts two of three lives while the relay starts.
func restart(t *trial) error {
	for t.more() {
		life := steps{t.open, t.call, t.wait}
		if t.done.cuts%3 != 0 {
			life = steps{t.embedded, t.call, t.moment}
		}
		if err := t.life(life...); err != nil {
			return err
		}
	}
	return t.last(t.open)
}

// firstStart cuts every second life while the relay starts, the others soon after.
func firstStart(t *trial) error {
	for t.more() {
		t.ledger.forget()
		if err := t.machine.format(); err != nil {
			return err
		}
		life := steps{t.embedded, t.call, t.ready, t.wait}
		if t.done.cuts%2 != 0 {
			life = steps{t.embedded, t.call, t.moment}
		}
		if err := t.life(life...); err != nil {
			return err
		}
		if err := t.last(t.open); err != nil {
			return err
		}
	}
	return nil
}

func dev(t *trial) error {
	launch := func() error { return t.launch("dev", "NATS_STORE_DIR="+t.data("nats"), "NATS_LISTEN=127.0.0.1:0") }
	for t.more() {
		if err := t.life(launch, t.ready, t.sameKey, t.auditEmbedded, t.call, t.wait); err != nil {
			return err
		}
	}
	return t.last(launch, t.ready, t.sameKey, t.auditEmbedded)
}

// sameKey looks for the key that the first start made.
func (t *trial) sameKey() error {
	content, err := os.ReadFile(t.data("nats/dev-key"))
	if err != nil {
		return err
	}
	t.relay.key = strings.TrimSpace(string(content))
	if t.relay.key == t.devKey {
		return nil
	}
	if t.keys++; t.devKey != "" {
		t.note(findings{missing: 1})
	}
	t.devKey = t.relay.key
	return nil
}

// withSpool starts a relay that has a spool, and a NATS that may be away.
func (t *trial) withSpool() error {
	return t.launch("serve", "KEYS="+key, "NATS_URL="+t.nats.url(), "SPOOL_DIR="+t.data("spool"))
}

func (t *trial) listSpool() ([]string, error) {
	if _, err := os.Stat(t.data("spool")); errors.Is(err, os.ErrNotExist) || t.ledger.missing(nil, nil) == 0 {
		return nil, nil // a cut before the first acknowledgement may have left half a spool
	}
	return listSpool(t.program("sine-relay"), t.data("spool"))
}

func spool(t *trial) error {
	audit := func() error {
		ids, err := t.listSpool()
		if err != nil {
			return err
		}
		return t.settle(nil, ids)
	}
	for t.more() {
		if err := t.life(audit, t.withSpool, t.listens, t.call, t.wait); err != nil {
			return err
		}
	}
	t.nats.store = filepath.Join(t.dir, "jetstream") // its disk keeps its power
	return t.last(audit, t.startNATS, t.withSpool, t.emptied)
}

func forwardSynced(t *trial) error {
	t.nats.store, t.nats.sync = t.data("jetstream"), "always"
	for t.more() {
		if err := t.life(t.startNATS, t.auditBoth, t.stopNATS, t.withSpool, t.listens, t.call, t.away, t.startNATS, t.forward, t.wait); err != nil {
			return err
		}
	}
	return t.last(t.startNATS, t.auditBoth, t.withSpool, t.emptied)
}

// away is while NATS is not there, and the spool fills.
func (t *trial) away() error {
	t.forwarded = t.relay.forwarded()
	return t.sleep(50*time.Millisecond, 300*time.Millisecond)
}

// forward waits in every second life until the spool is being forwarded. The power of
// the others may go before that.
func (t *trial) forward() error {
	if t.done.cuts%2 != 0 {
		return nil
	}
	err := await(t.ctx, "the spool is forwarded", startTimeout, func() bool { return t.relay.forwarded() > t.forwarded })
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, t.relay.tail())
	}
	return nil
}

func (t *trial) auditBoth() error {
	ids, err := t.listSpool()
	if err != nil {
		return err
	}
	stream, err := readStream(t.ctx, t.nats.url())
	if err != nil {
		return err
	}
	return t.settle(stream, ids)
}

func (t *trial) startNATS() (err error) {
	t.server, err = t.nats.start(t.ctx, t.machine.logs, t.machine.launch)
	return err
}

func (t *trial) stopNATS() error { return t.server.kill() }

// emptied waits until the spool is, and looks at the stream alone.
func (t *trial) emptied() error {
	if err := t.listens(); err != nil {
		return err
	}
	if err := await(t.ctx, "the spool is empty", startTimeout, t.relay.idle); err != nil {
		return fmt.Errorf("%w:\n%s", err, t.relay.tail())
	}
	stream, err := readStream(t.ctx, t.nats.url())
	if err != nil {
		return err
	}
	return t.settle(stream, nil)
}

// forwardDefault has a relay that lives on, on a disk that keeps its power.
func forwardDefault(t *trial) error {
	t.nats.store = t.data("jetstream")
	beside := func(name string, cmd *exec.Cmd) (*process, error) { return launch(t.machine.log(name), cmd) }
	err := t.run(beside, "serve", "KEYS="+key, "NATS_URL="+t.nats.url(), "SPOOL_DIR="+filepath.Join(t.dir, "spool"))
	if err != nil {
		return err
	}
	defer t.relay.kill()
	if err := t.listens(); err != nil {
		return err
	}
	for t.more() {
		if err := t.life(t.startNATS, t.reconciled, t.stopNATS, t.call, t.away, t.startNATS, t.forward, t.wait); err != nil {
			return err
		}
	}
	return t.last(t.startNATS, t.reconciled)
}

// quietTime without a new message means that no more come.
const quietTime = 500 * time.Millisecond

// reconciled waits until the relay has sent what it has, and what it may send again.
func (t *trial) reconciled() error {
	var stream []stored
	quiet := time.Now().Add(quietTime)
	err := await(t.ctx, "the relay has sent what it has", startTimeout, func() bool {
		now, err := readStream(t.ctx, t.nats.url())
		idle := err == nil && t.relay.idle()
		if !idle || len(now) != len(stream) {
			quiet = time.Now().Add(quietTime)
		}
		stream = now
		return idle && (t.ledger.missing(stream, nil) == 0 || time.Now().After(quiet))
	})
	if err != nil {
		return err
	}
	return t.settle(stream, nil)
}
