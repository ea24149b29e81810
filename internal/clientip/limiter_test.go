package clientip

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

// limitsOf are the default limits with another number of clients.
func limitsOf(clients int) Limits {
	l := DefaultLimits
	l.Clients = clients
	return l
}

func newClock() *clock { return &clock{time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

// fail has a client fail n times and returns how often it was not blocked.
func (c *clock) fail(l *Limiter, client string, n int) (passed int) {
	for range n {
		if !l.Blocked(addr(client), c.now) {
			passed++
		}
	}
	return passed
}

func numbered(n int) string {
	return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16), byte(n >> 8), byte(n)}).String()
}

func TestBlocked_ABurstAndItsRefill(t *testing.T) {
	l, c := NewLimiter(DefaultLimits), newClock()
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

func TestBlocked_ObeysItsLimits(t *testing.T) {
	l, c := NewLimiter(Limits{Burst: 2, Refill: time.Minute, Clients: 1}), newClock()
	if got := c.fail(l, outside, 10); got != 2 {
		t.Errorf("%d passed in a burst", got)
	}
	c.pass(time.Minute)
	if got := c.fail(l, outside, 10); got != 1 {
		t.Errorf("%d passed after a minute", got)
	}
}

func TestBlocked_WhoSharesAnAllowance(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"neighbours in IPv4", "203.0.113.7", "203.0.113.8", false},
		{"one /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
		{"two neighbouring /64", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"IPv4, and the same in IPv6", "203.0.113.7", "::ffff:203.0.113.7", true},
		{"two in IPv4 in IPv6", "::ffff:203.0.113.7", "::ffff:203.0.113.8", false},
		{"two zones", "fe80::1%a", "fe80::1%b", true},
		{"two without an address", "", "", true},
		{"one without an address and one with", "", "0.0.0.0", false},
		{"the zeroes of both families", "0.0.0.0", "::", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, clock := NewLimiter(DefaultLimits), newClock()
			clock.fail(l, c.a, 100)
			if same := clock.fail(l, c.b, 100) == 0; same != c.same {
				t.Errorf("shared: %v", same)
			}
		})
	}
}

func TestBlocked_ForgetsWhoIsNotLimitedAnyMore(t *testing.T) {
	l, c := NewLimiter(limitsOf(3)), newClock()
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
		if got := l.known[addr(client)] != nil; got != want {
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

func TestBlocked_NewcomersShareOneAllowanceWhenAllPlacesAreTaken(t *testing.T) {
	l, c := NewLimiter(limitsOf(100)), newClock()
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
	l := NewLimiter(Limits{Burst: 1, Refill: time.Second, Clients: 100})
	now := time.Now()
	for range 2 {
		fmt.Println(l.Blocked(netip.MustParseAddr("203.0.113.7"), now))
	}
	// Output:
	// false
	// true
}

// However clients come, none fails more often than its allowance, nor do all
// together.
func TestBlocked_NoFailureMoreThanAllowed(t *testing.T) {
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

func TestBlocked_ManyAtOnce(t *testing.T) {
	const senders, attempts = 8, 500
	l, c := NewLimiter(limitsOf(50)), newClock()
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
