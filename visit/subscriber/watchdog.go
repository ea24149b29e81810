package subscriber

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrStalled is reported to [DeciderConfig].OnError when the program did not run for a
// second or more: it was stopped, or got no CPU. Check-in requests whose deadline
// passed meanwhile get no decision. It is also reported when OnError blocked for that
// long.
var ErrStalled = errors.New("stalled: no check-in request was received")

const (
	// beat is the interval at which a decider checks that it runs.
	beat = 100 * time.Millisecond
	// pause is the time between two checks after which requests are assumed to have
	// waited, and stall that after which it is reported.
	pause = 3 * beat
	stall = time.Second
)

// pulse knows when the program last ran. Requests that arrive while it does not run
// wait in the socket, and seem new when they are read: a decider that was stopped for a
// minute would decide requests that have expired, while current ones wait behind them.
type pulse struct {
	mu   sync.Mutex
	last time.Time
	// since is not zero while requests may be read that waited since then, and pauses
	// counts what made them wait.
	since  time.Time
	pauses int
}

// watchStalls checks until the decider ends. It uses the monotonic clock, which nobody
// sets.
func (d *decider) watchStalls() {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		d.arrived(time.Now())
		select {
		case <-tick.C:
		case <-d.working.Done():
			return
		}
	}
}

// arrived is the earliest time at which a request that is read now can have arrived.
func (d *decider) arrived(now time.Time) time.Time {
	d.pulse.mu.Lock()
	defer d.pulse.mu.Unlock()
	if last := d.pulse.last; !last.IsZero() {
		d.notice(last, now)
	}
	if now.After(d.pulse.last) {
		d.pulse.last = now
	}
	if d.pulse.since.IsZero() {
		return now
	}
	return d.pulse.since
}

// delayedSince is called after a request was received: the next one waited as long.
func (d *decider) delayedSince(from time.Time) {
	d.pulse.mu.Lock()
	defer d.pulse.mu.Unlock()
	d.notice(from, time.Now())
}

// notice records a time in which no request was received, if it was long.
func (d *decider) notice(from, to time.Time) {
	lost := to.Sub(from)
	if lost <= pause {
		return
	}
	if lost >= stall {
		d.stalls.Add(1)
		go d.cfg.OnError(fmt.Errorf("decide: %w for %s", ErrStalled, lost.Round(time.Millisecond)))
	}
	d.pulse.pauses++
	if d.pulse.since.IsZero() {
		d.pulse.since = from
		go d.catchUp()
	}
}

// catchUp waits until the requests that waited are read, and those of pauses that occur
// meanwhile.
func (d *decider) catchUp() {
	for d.working.Err() == nil {
		d.pulse.mu.Lock()
		pauses := d.pulse.pauses
		d.pulse.mu.Unlock()
		if !d.caughtUp() {
			continue
		}
		d.pulse.mu.Lock()
		if d.pulse.pauses == pauses {
			d.pulse.since = time.Time{}
			d.pulse.mu.Unlock()
			return
		}
		d.pulse.mu.Unlock()
	}
}

// caughtUp waits for a flush, which brings in what the server sent before, and for a
// barrier, which runs behind that. The barrier is for every subscription of the
// connection, and the program may have slow ones.
func (d *decider) caughtUp() bool {
	if !d.flush() { // without a connection nothing new comes
		select {
		case <-time.After(beat):
		case <-d.working.Done():
		}
		return false
	}
	select {
	case <-d.delivered():
	case <-time.After(lastWait):
	case <-d.working.Done():
	}
	return true
}
