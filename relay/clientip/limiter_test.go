package clientip

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// clock is the time of a test.
type clock struct{ now time.Time }

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

func TestABurstAndItsRefill(t *testing.T) {
	l, c := NewLimiter(Limits{}), newClock()
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

func TestLimitsAreObeyed(t *testing.T) {
	l, c := NewLimiter(Limits{Burst: 2, Refill: time.Minute, Clients: 1}), newClock()
	if got := c.fail(l, outside, 10); got != 2 {
		t.Errorf("%d passed in a burst", got)
	}
	c.pass(time.Minute)
	if got := c.fail(l, outside, 10); got != 1 {
		t.Errorf("%d passed after a minute", got)
	}
}

func TestLimitsBelowOneStandForTheDefault(t *testing.T) {
	if got := (Limits{Burst: -1, Refill: -1, Clients: -1}).complete(); got != DefaultLimits {
		t.Errorf("%+v", got)
	}
}

func TestWhoSharesAnAllowance(t *testing.T) {
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
			l, clock := NewLimiter(Limits{}), newClock()
			clock.fail(l, c.a, 100)
			if same := clock.fail(l, c.b, 100) == 0; same != c.same {
				t.Errorf("shared: %v", same)
			}
		})
	}
}

func TestTheLeastRecentIsForgottenFirst(t *testing.T) {
	l, c := NewLimiter(Limits{Clients: 3}), newClock()
	c.fail(l, "192.0.2.1", 1)
	c.fail(l, "192.0.2.2", 1)
	c.fail(l, "192.0.2.3", 1)
	c.pass(5 * time.Second)
	c.fail(l, "192.0.2.1", 100) // goes in front, though it came first
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

func TestNewcomersShareWhatIsLeftWhenAllPlacesAreTaken(t *testing.T) {
	l, c := NewLimiter(Limits{Clients: 100}), newClock()
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
	if len(l.known) != 100 || l.recent.Len() != 100 {
		t.Errorf("%d and %d remembered", len(l.known), l.recent.Len())
	}
	c.pass(10 * time.Second)
	if got := c.fail(l, numbered(6000), 100); got != 10 {
		t.Errorf("%d of a newcomer passed when places were free again", got)
	}
}

func ExampleLimiter() {
	l := NewLimiter(Limits{Burst: 1})
	now := time.Now()
	for range 2 {
		fmt.Println(l.Blocked(netip.MustParseAddr("203.0.113.7"), now))
	}
	// Output:
	// false
	// true
}
