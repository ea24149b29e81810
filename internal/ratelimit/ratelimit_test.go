package ratelimit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is the time of a test.
type clock struct{ now time.Time }

const outside = "203.0.113.7"

var defaults = Limits{Burst: 10, Refill: time.Second, Clients: 10_000}

// limitsOf are the default limits with another number of clients.
func limitsOf(clients int) Limits {
	l := defaults
	l.Clients = clients
	return l
}

func newClock() *clock { return &clock{time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

// fail has a client fail n times and returns how often it was not blocked.
func (c *clock) fail(l *Limiter[string], client string, n int) (passed int) {
	for range n {
		if l.Allow(client, c.now) {
			passed++
		}
	}
	return passed
}

func numbered(n int) string { return fmt.Sprint("client ", n) }

func TestAllow_ABurstAndItsRefill(t *testing.T) {
	l, c := New[string](defaults), newClock()
	for _, step := range []struct {
		name string
		wait time.Duration
		want int
	}{
		{"a burst", 0, 10},
		{"at once after it", 0, 0},
		{"not quite a second later", 999 * time.Millisecond, 0},
		{"a second later", time.Millisecond, 1},
		{"three seconds later", 3 * time.Second, 3},
		{"a day later", 24 * time.Hour, 10},
	} {
		c.pass(step.wait)
		if got := c.fail(l, outside, 100); got != step.want {
			t.Errorf("%s: %d passed, want %d", step.name, got, step.want)
		}
	}
}

func TestAllow_ObeysItsLimits(t *testing.T) {
	l, c := New[string](Limits{Burst: 2, Refill: time.Minute, Clients: 1}), newClock()
	if got := c.fail(l, outside, 10); got != 2 {
		t.Errorf("%d passed in a burst", got)
	}
	c.pass(time.Minute)
	if got := c.fail(l, outside, 10); got != 1 {
		t.Errorf("%d passed after a minute", got)
	}
}

func TestAllow_ForgetsWhoIsNotLimitedAnyMore(t *testing.T) {
	l, c := New[string](limitsOf(3)), newClock()
	c.fail(l, "192.0.2.1", 1)
	c.fail(l, "192.0.2.2", 1)
	c.fail(l, "192.0.2.3", 1)
	c.pass(5 * time.Second)
	c.fail(l, "192.0.2.1", 100)
	c.fail(l, "192.0.2.4", 1)
	c.fail(l, "192.0.2.5", 1)
	for client, want := range map[string]bool{
		"192.0.2.1": true, "192.0.2.2": false, "192.0.2.3": false, "192.0.2.4": true, "192.0.2.5": true,
	} {
		if got := l.known[client] != nil; got != want {
			t.Errorf("%s is remembered: %v", client, got)
		}
	}
	if got := c.fail(l, "192.0.2.1", 100); got != 0 {
		t.Errorf("%d of a blocked client passed since another was forgotten", got)
	}
	if got := c.fail(l, "192.0.2.4", 100); got != 9 {
		t.Errorf("%d more of a client passed that took another's place", got)
	}
}

func TestAllow_NewcomersShareOneAllowanceWhenAllPlacesAreTaken(t *testing.T) {
	l, c := New[string](limitsOf(100)), newClock()
	for n := range 100 {
		c.fail(l, numbered(n), 100)
	}
	passed := 0
	for n := range 1000 {
		passed += c.fail(l, numbered(1000+n), 10)
	}
	if passed != 10 {
		t.Errorf("%d of the newcomers passed", passed)
	}
	for n := range 100 {
		if got := c.fail(l, numbered(n), 1); got != 0 {
			t.Errorf("flooding won %s a new allowance", numbered(n))
		}
	}
	c.pass(time.Second)
	if got := c.fail(l, numbered(5000), 100); got != 1 {
		t.Errorf("%d of a newcomer passed after a second", got)
	}
	if len(l.known) != 100 {
		t.Errorf("%d remembered", len(l.known))
	}
	c.pass(10 * time.Second)
	if got := c.fail(l, numbered(6000), 100); got != 10 {
		t.Errorf("%d of a newcomer passed when places were free again", got)
	}
}

func ExampleLimiter() {
	l := New[string](Limits{Burst: 1, Refill: time.Second, Clients: 100})
	now := time.Now()
	for range 2 {
		fmt.Println(l.Allow("203.0.113.7", now))
	}
	// Output:
	// true
	// false
}

// However clients come, none fails more often than its allowance, nor do all
// together.
func TestAllow_NobodyMoreThanIsAllowed(t *testing.T) {
	const clients, places, seed = 40, 8, 429
	limits := Limits{Burst: 3, Refill: time.Second, Clients: places}
	r := rand.New(rand.NewPCG(seed, seed))
	l, c := New[string](limits), newClock()
	start, each, all := c.now, make([]int, clients), 0
	for range 50_000 {
		c.pass(time.Duration(r.IntN(40)) * time.Millisecond)
		n := r.IntN(clients)
		passed := c.fail(l, numbered(n), 1)
		each[n] += passed
		all += passed
		if len(l.known) > places {
			t.Fatalf("%d remembered", len(l.known))
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

func TestAllow_ManyAtOnce(t *testing.T) {
	const senders, attempts = 8, 500
	l, c := New[string](limitsOf(50)), newClock()
	var wait sync.WaitGroup
	var one, crowd atomic.Int64
	c.fail(l, outside, 1)
	for s := range senders {
		wait.Go(func() {
			for n := range attempts {
				if l.Allow(outside, c.now) {
					one.Add(1)
				}
				if l.Allow(numbered(s*attempts+n), c.now) {
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

func TestTake_SaysAfterWhatTime(t *testing.T) {
	l, c := New[string](Limits{Burst: 2, Refill: time.Minute, Clients: 1}), newClock()
	for _, step := range []struct {
		pass, want time.Duration
	}{
		{0, 0}, {0, 0}, {0, time.Minute}, {20 * time.Second, 40 * time.Second}, {40 * time.Second, 0}, {0, time.Minute},
	} {
		c.pass(step.pass)
		if got := l.Take(outside, c.now); got.Round(time.Millisecond) != step.want {
			t.Errorf("after %s it is %s, want %s", step.pass, got, step.want)
		}
	}
}

// BenchmarkAllow is one client that fails again and again, a table full of
// clients that take turns, and newcomers when all places are taken.
func BenchmarkAllow(b *testing.B) {
	for _, c := range []struct {
		name    string
		clients uint32
		pace    time.Duration // between two failures
	}{
		{"one client", 1, time.Millisecond},
		{"as many as there are places", 10_000, time.Millisecond},
		{"more than there are places, slowly", 100_000, 10 * time.Second},
		{"more than there are places, at once", 100_000, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			l, start := New[netip.Addr](defaults), newClock().now
			var turn atomic.Uint32
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := turn.Add(1)
					i := n % c.clients
					from := netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)})
					l.Allow(from, start.Add(time.Duration(n)*c.pace))
				}
			})
		})
	}
}
