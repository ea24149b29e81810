package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// scenario is a way to run a relay, and what its disk's loss of power meets.
type scenario struct {
	name, about string
	lives       func(*trial) error
	// resends is set where the relay lives on, and sends again what a disk lost that
	// lies: then the control need not lose anything.
	resends bool
}

var scenarios = []scenario{
	{name: "embedded", about: "a relay with the NATS in it", lives: embedded},
	{name: "spool", about: "a relay without NATS: everything goes to its spool", lives: spool},
	{name: "forward-default", about: "a spool is forwarded to a NATS with the default sync_interval, whose machine loses power while the relay lives on", lives: forwardDefault, resends: true},
	{name: "forward-synced", about: "a spool is forwarded to a NATS with sync_interval: always, and both lose power", lives: forwardSynced},
	{name: "first-start", about: "the first start of a relay, on an empty disk", lives: firstStart},
	{name: "restart", about: "a relay that starts on what earlier cuts left", lives: restart},
	{name: "orders", about: "a relay with the NATS in it, while lockdowns are given", lives: lockdowns},
	{name: "dev", about: "sine-relay dev, whose API key is in a file of its own", lives: dev},
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
