package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sine-relay/sine-relay/broker/outbox/spool"
)

// What was forwarded is removed from the spool after so many messages, or so long:
// after a kill no more than that is sent again. A relay that is killed again and again
// would otherwise never empty its spool.
const (
	removeAfter = 64
	removeEvery = time.Second
)

// departure removes what leaves the spool, while more is being sent.
type departure struct {
	spooler *spooler
	done    chan struct{}
	ready   chan struct{}

	mu     sync.Mutex
	gone   left
	ended  bool
	closed bool // the spool is
}

// left are the sequences of messages that left the spool.
type left struct{ forwarded, setAside []uint64 }

func (l left) all() []uint64 { return append(l.forwarded, l.setAside...) }

func newDeparture(s *spooler) *departure {
	d := &departure{spooler: s, done: make(chan struct{}), ready: make(chan struct{}, 1)}
	go d.run()
	return d
}

func (d *departure) forwarded(sequence uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone.forwarded = append(d.gone.forwarded, sequence)
	d.signal()
}

func (d *departure) setAside(sequence uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone.setAside = append(d.gone.setAside, sequence)
	d.signal()
}

// signal is called with the lock held.
func (d *departure) signal() {
	if !d.ended && len(d.gone.forwarded)+len(d.gone.setAside) < removeAfter {
		return
	}
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// end returns once everything is removed, and reports false where the spool is closed.
func (d *departure) end() bool {
	d.mu.Lock()
	d.ended = true
	d.signal()
	d.mu.Unlock()
	<-d.done
	return !d.closed
}

func (d *departure) run() {
	defer close(d.done)
	tick := time.NewTicker(removeEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.ready:
		case <-tick.C:
		}
		d.mu.Lock()
		gone, ended := d.gone, d.ended
		d.gone = left{}
		d.mu.Unlock()
		d.remove(gone)
		if ended {
			return
		}
	}
}

func (d *departure) remove(gone left) {
	all := gone.all()
	if len(all) == 0 {
		return
	}
	// Not given up at the end of the relay: what is not removed here is sent again.
	if err := d.spooler.spool.Remove(context.Background(), all...); err != nil {
		d.spooler.health.notRemoved(err)
		d.spooler.log.Error("cannot remove forwarded messages from the spool", "err", err.Error())
		if errors.Is(err, spool.ErrClosed) {
			d.closed = true
			return
		}
	}
	// The ledger counts what the spool offers no more, and so not before.
	d.spooler.metrics.forwarded.Add(float64(len(gone.forwarded)))
	d.spooler.metrics.setAside.Add(float64(len(gone.setAside)))
}

const (
	// slowest is how many messages a second leave the spool at first, so that
	// a cluster that recovers is not trampled. While all goes well that
	// doubles every rampStep up to fastest.
	slowest, fastest rate.Limit = 2000, 32000
	rampStep                    = 250 * time.Millisecond
	rampBurst                   = 256
	// longestHold is how long a message is held up that finds others before it
	// in the spool.
	longestHold = 250 * time.Millisecond
)

// ramp bounds how fast the spool is emptied, and how fast what must queue behind
// may fill it meanwhile: half as fast as it empties, or it might never be empty
// again.
type ramp struct {
	leaving, queueing *rate.Limiter
	since             time.Time // of the last change; the forwarder's own

	mu     sync.Mutex
	actual float64       // messages a second in the last round
	left   chan struct{} // closed at the end of the round
}

func newRamp() *ramp {
	return &ramp{
		leaving: rate.NewLimiter(slowest, rampBurst), queueing: rate.NewLimiter(slowest/2, rampBurst),
		since: time.Now(), actual: float64(slowest), left: make(chan struct{}),
	}
}

// reset returns to the slowest. Until the next round no message is held up.
func (r *ramp) reset() {
	r.leaving.SetLimit(slowest)
	r.since = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.actual = 0
}

// well is called after each round in which messages left the spool.
func (r *ramp) well(moved int, took time.Duration) {
	actual := float64(moved) / took.Seconds()
	r.queueing.SetLimit(rate.Limit(actual / 2))
	if time.Since(r.since) > rampStep {
		r.leaving.SetLimit(min(2*r.leaving.Limit(), fastest))
		r.since = time.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.actual = actual
	close(r.left)
	r.left = make(chan struct{})
}

// leave waits until the next message may leave, and reports whether ctx allows
// it.
func (r *ramp) leave(ctx context.Context) bool { return r.leaving.Wait(ctx) == nil }

// hold holds a message up that finds n in the spool, others with its ordering key
// among them, and reports whether those are gone: then it need not queue. It takes a
// moment at most, since nothing is refused for the sake of the ramp.
func (r *ramp) hold(ctx context.Context, n int, waiting func() bool) (gone bool) {
	ctx, cancel := context.WithTimeout(ctx, longestHold)
	defer cancel()
	if actual, _ := r.last(); float64(n) > actual*longestHold.Seconds()/2 {
		_ = r.queueing.Wait(ctx) // an error, and at once, when its turn would come too late
		return !waiting()
	}
	return r.gone(ctx, waiting)
}

// gone waits until nothing waits any more, and reports whether that came before
// the end of ctx.
func (r *ramp) gone(ctx context.Context, waiting func() bool) bool {
	for {
		_, left := r.last()
		if !waiting() {
			return true
		}
		select {
		case <-left:
		case <-ctx.Done():
			return false
		}
	}
}

func (r *ramp) last() (actual float64, left <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.actual, r.left
}
