package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// forwardSynced has relay and NATS on one machine.
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
func (t *trial) away() error { return t.sleep(50*time.Millisecond, 300*time.Millisecond) }

// forward waits in every second life until the stream grows. The power of the others
// may go before that.
func (t *trial) forward() error {
	if t.done.cuts%2 != 0 {
		return nil
	}
	grows := func() bool { n, err := countStream(t.ctx, t.nats.url()); return err == nil && n > t.stored }
	if err := await(t.ctx, "the spool is forwarded", startTimeout, grows); err != nil {
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

// emptyTimeout is for thousands of messages, and a NATS that syncs each.
const emptyTimeout = 2 * time.Minute

// emptied waits until the spool is, and looks at the stream alone.
func (t *trial) emptied() error {
	if err := t.listens(); err != nil {
		return err
	}
	if err := await(t.ctx, "the spool is empty", emptyTimeout, t.relay.idle); err != nil {
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

const (
	// resendTimeout is for the relay to find out what NATS has lost, and to send it again.
	resendTimeout = 30 * time.Second
	// quietTime without a new message means that no more come.
	quietTime = 500 * time.Millisecond
)

// reconciled waits until the relay has sent what it has, and what NATS lost again. What is
// not there at the end of resendTimeout is missing.
func (t *trial) reconciled() error {
	var stream []stored
	end, quiet := time.Now().Add(resendTimeout), time.Now().Add(quietTime)
	err := await(t.ctx, "the relay has sent what it has", 2*resendTimeout, func() bool {
		now, err := readStream(t.ctx, t.nats.url())
		idle := err == nil && t.relay.idle()
		if !idle || len(now) != len(stream) {
			quiet = time.Now().Add(quietTime)
		}
		stream = now
		return idle && time.Now().After(quiet) && (t.ledger.missing(stream, nil) == 0 || time.Now().After(end))
	})
	if err != nil {
		return err
	}
	return t.settle(stream, nil)
}
