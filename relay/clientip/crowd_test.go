package clientip

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// However clients come, none fails more often than its allowance, nor do all
// together.
func TestNoFailureMoreThanAllowed(t *testing.T) {
	const clients, places, seed = 40, 8, 429
	limits := Limits{Burst: 3, Refill: time.Second, Clients: places}
	r := rand.New(rand.NewPCG(seed, seed))
	l, c := NewLimiter(limits), newClock()
	start, each, all := c.now, make([]int, clients), 0
	for range 50_000 {
		c.pass(time.Duration(r.IntN(40)) * time.Millisecond)
		n := r.IntN(clients)
		passed := c.fail(l, numbered(n), 1)
		each[n] += passed
		all += passed
		if len(l.known) > places || len(l.known) != l.recent.Len() {
			t.Fatalf("%d and %d remembered", len(l.known), l.recent.Len())
		}
	}
	seconds := int(c.now.Sub(start).Seconds()) + 1
	for n, passed := range each {
		// At most its own and, while it has no place, that of the newcomers.
		if passed > 2*(limits.Burst+seconds) {
			t.Errorf("%s passed %d times in %d s", numbered(n), passed, seconds)
		}
	}
	if allowed := (places + 1) * (limits.Burst + seconds); all > allowed {
		t.Errorf("%d passed in %d s, allowed are %d", all, seconds, allowed)
	}
	if all < places*seconds/2 {
		t.Errorf("only %d passed in %d s", all, seconds)
	}
}

func TestManyFailAtOnce(t *testing.T) {
	const senders, attempts = 8, 500
	l, c := NewLimiter(Limits{Clients: 50}), newClock()
	var wait sync.WaitGroup
	var one, crowd atomic.Int64
	c.fail(l, outside, 1)
	for s := range senders {
		wait.Go(func() {
			for n := range attempts {
				if !l.Blocked(addr(outside), c.now) {
					one.Add(1)
				}
				if !l.Blocked(addr(numbered(s*attempts+n)), c.now) {
					crowd.Add(1)
				}
			}
		})
	}
	wait.Wait()
	if one.Load() != 9 {
		t.Errorf("%d of one client passed", one.Load())
	}
	// 49 have a place and fail once each, the others share one allowance.
	if crowd.Load() != 49+10 {
		t.Errorf("%d of the crowd passed", crowd.Load())
	}
}
