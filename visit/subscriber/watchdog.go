package subscriber

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrStalled is reported to [DeciderConfig].OnError when the program did not run for
// a second or more: it was stopped, or got no CPU. Questions came meanwhile, and
// those whose time is over are not answered. It is reported, too, when OnError kept
// the questions waiting.
var ErrStalled = errors.New("no question could be taken")

const (
	// beat is how often a decider looks whether it runs.
	beat = 100 * time.Millisecond
	// pause is the longest that may be between two looks before questions are
	// taken to have waited, and stall the longest that nobody hears of.
	pause = 3 * beat
	stall = time.Second
)

// pulse knows when the program last ran. What comes while it does not waits in the
// socket, and looks new when it is read: a decider that was stopped for a minute
// would work through the questions of visitors who have gone, while those at the
// door wait behind them.
type pulse struct {
	mu   sync.Mutex
	last time.Time
	// since is not zero while questions may be read that waited since then, and
	// pauses counts what made them wait.
	since  time.Time
	pauses int
}

// keepPulse looks until the decider ends. The clock is the monotonic one, which
// nobody sets.
func (d *decider) keepPulse() {
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

// arrived is the earliest time at which a question that is read now can have come.
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

// heldUp is called when a question was received: the next one waited as long.
func (d *decider) heldUp(from time.Time) {
	d.pulse.mu.Lock()
	defer d.pulse.mu.Unlock()
	d.notice(from, time.Now())
}

// notice takes note of a time in which no question was taken, if it was long.
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

// catchUp waits until the questions that waited were read, and those of pauses that
// come meanwhile.
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

// caughtUp waits for a flush, which brings in what the server sent before it, and
// for a barrier, which runs behind that. The barrier is for every subscription of
// the connection, and the program may have slow ones.
func (d *decider) caughtUp() bool {
	if !d.flush() { // without a connection nothing new comes
		select {
		case <-time.After(beat):
		case <-d.working.Done():
		}
		return false
	}
	select {
	case <-d.handedOver():
	case <-time.After(lastWait):
	case <-d.working.Done():
	}
	return true
}
