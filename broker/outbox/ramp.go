package outbox

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

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
