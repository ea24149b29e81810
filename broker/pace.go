package broker

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// slowest is how many messages a second leave the spool at first, so that
	// a cluster that recovers is not trampled. While all goes well that
	// doubles every paceStep up to fastest.
	slowest, fastest rate.Limit = 2000, 32000
	paceStep                    = 250 * time.Millisecond
	paceBurst                   = 256
	// longestHold is how long a message is held up that finds others before it
	// in the spool.
	longestHold = 250 * time.Millisecond
)

// pace bounds how fast the spool is emptied, and how fast what must queue behind
// may fill it meanwhile: half as fast as it empties, or it might never be empty
// again.
type pace struct {
	leaving, queueing *rate.Limiter
	since             time.Time // of the last change; the drain's own

	mu     sync.Mutex
	actual float64       // messages a second in the last round
	left   chan struct{} // closed at the end of the round
}

func newPace() *pace {
	return &pace{
		leaving: rate.NewLimiter(slowest, paceBurst), queueing: rate.NewLimiter(slowest/2, paceBurst),
		since: time.Now(), actual: float64(slowest), left: make(chan struct{}),
	}
}

// setback returns to the slowest. Until the next round nobody is held up.
func (p *pace) setback() {
	p.leaving.SetLimit(slowest)
	p.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.actual = 0
}

// well is told of each round in which messages left the spool.
func (p *pace) well(moved int, took time.Duration) {
	actual := float64(moved) / took.Seconds()
	p.queueing.SetLimit(rate.Limit(actual / 2))
	if time.Since(p.since) > paceStep {
		p.leaving.SetLimit(min(2*p.leaving.Limit(), fastest))
		p.since = time.Now()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.actual = actual
	close(p.left)
	p.left = make(chan struct{})
}

// leave waits until the next message may leave, and reports whether ctx allows
// it.
func (p *pace) leave(ctx context.Context) bool { return p.leaving.Wait(ctx) == nil }

// hold holds a message up that finds n in the spool, others of its order among
// them, and reports whether those are gone: then it need not queue. It takes a
// moment at most, since nothing is refused for the sake of the pace.
func (p *pace) hold(ctx context.Context, n int, waiting func() bool) (gone bool) {
	ctx, cancel := context.WithTimeout(ctx, longestHold)
	defer cancel()
	if actual, _ := p.last(); float64(n) > actual*longestHold.Seconds()/2 {
		_ = p.queueing.Wait(ctx) // an error, and at once, when its turn would come too late
		return !waiting()
	}
	return p.gone(ctx, waiting)
}

// gone waits until nothing waits any more, and reports whether that came before
// the end of ctx.
func (p *pace) gone(ctx context.Context, waiting func() bool) bool {
	for {
		_, left := p.last()
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

func (p *pace) last() (actual float64, left <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.actual, p.left
}
