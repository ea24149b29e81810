//go:build linux && faults

package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A server that does not sync each message loses the last minutes with its machine's
// power: it comes back with its store as it was then, or with none where the store is as
// young. A relay with a spool sends those minutes again.

// storeRolledBack has a node come back with its store as a crash left it some time
// before.
func storeRolledBack(r *fixture, lasting time.Duration, pick int) error {
	return r.rollBack(lasting/2, pick, func() error { hold(lasting / 2); return nil })
}

// storedAndRolledBack is sure to destroy something.
func storedAndRolledBack(r *fixture, lasting time.Duration, pick int) error {
	return r.rollBack(lasting, pick, func() error { return r.recovered(r.oneRelay(pick)) })
}

// rollBack returns a node to its store as it was before something happened.
func (r *fixture) rollBack(away time.Duration, pick int, happen func() error) error {
	r.stream.Lock() // or a copy of a stream that is full for a moment would be full for ever
	defer r.stream.Unlock()
	n := r.oneNode(pick)
	older := filepath.Join(n.dir, fmt.Sprintf("older-%d", pick))
	err := n.replaceStore(func() error { return os.CopyFS(older, os.DirFS(n.store())) }, 0)
	err = errors.Join(err, happen(), n.replaceStore(func() error {
		return errors.Join(os.RemoveAll(n.store()), os.Rename(older, n.store()))
	}, away))
	r.excuseUnwritten()
	return err
}

// storeEmptied has a node come back with no store.
func storeEmptied(r *fixture, lasting time.Duration, pick int) error {
	r.stream.Lock()
	defer r.stream.Unlock()
	n := r.oneNode(pick)
	err := n.replaceStore(func() error { return os.RemoveAll(n.store()) }, lasting)
	r.excuseUnwritten()
	return err
}

// store is where the node keeps its streams.
func (n *node) store() string { return filepath.Join(n.dir, "jetstream") }

// replaceStore kills the node, and starts it again once its store is another.
func (n *node) replaceStore(replace func() error, lasting time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process.kill()
	err := replace()
	hold(lasting)
	return errors.Join(err, n.start())
}

// unwritten is for how long before its end a killed relay may not have written down what
// NATS had acknowledged. docs/durability.md says a hundredth of a second; a machine that
// is busy takes longer.
const unwritten = 100 * time.Millisecond

// excuseUnwritten excuses what relays that were killed had not written down: NATS had it,
// and has lost it now.
func (r *fixture) excuseUnwritten() {
	calls := r.load.record()
	for _, one := range r.relays {
		for _, d := range one.deaths() {
			x := excuse{until: d.ended}
			for _, c := range calls {
				if c.relay == one.number && c.life == d.life && c.end.After(d.signal.Add(-unwritten)) {
					x.ids = append(x.ids, c.key())
				}
			}
			x.most = len(x.ids)
			r.excuse(x)
		}
	}
}

// key is what the audit looks for.
func (c *call) key() string {
	if c.isEvent() {
		return c.id
	}
	return c.requestID
}

func (r *relay) deaths() []death {
	r.now.Lock()
	defer r.now.Unlock()
	return append([]death(nil), r.killed...)
}

// noticed has a relay report what NATS has lost, and send it again.
func noticed(inject fault) fault {
	return func(r *fixture, lasting time.Duration, pick int) error {
		err := errors.Join(r.more(warmUp), inject(r, lasting, pick))
		return errors.Join(err, await("the loss is reported", func() bool {
			m, err := r.oneRelay(pick).read()
			return err == nil && m[`sine_relay_stream_losses_total{stream="VISITORS"}`] > 0 && m["sine_relay_window_resent_total"] > 0
		}))
	}
}

// sinceLastLife has NATS lose what a relay was acknowledged in an earlier life.
func sinceLastLife(lose fault) fault {
	return func(r *fixture, lasting time.Duration, pick int) error {
		return errors.Join(r.more(warmUp), relayKilled(r, lasting, pick), r.more(warmUp), noticed(lose)(r, lasting, pick))
	}
}

// whileNoRelayRuns has NATS lose what nobody who runs knows of.
func whileNoRelayRuns(lose fault) fault {
	return func(r *fixture, lasting time.Duration, pick int) error {
		err := r.more(warmUp)
		for _, one := range r.relays {
			one.mu.Lock()
			defer one.mu.Unlock()
			one.kill()
		}
		err = errors.Join(err, lose(r, lasting, pick))
		for _, one := range r.relays {
			err = errors.Join(err, one.start(r.programs))
		}
		return err
	}
}
