package clientip

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound the failures of one client. All must be positive.
type Limits struct {
	// Burst is how many failures are let pass at once.
	Burst int
	// Refill is after what time one more is let pass, up to Burst again. It
	// is what a client that is blocked should wait.
	Refill time.Duration
	// Clients is how many clients are remembered.
	Clients int
}

// DefaultLimits let somebody try out keys by hand. They take 3 MB at most.
var DefaultLimits = Limits{Burst: 10, Refill: time.Second, Clients: 10_000}

// Limiter limits how often a client may fail to authenticate. A client is what
// [Client] takes for one; those without an address are one client.
//
// It is for those who have failed already: a valid key is to be accepted
// whatever the limiter would say of its sender. So it keeps nobody from guessing
// keys, which their length does; it has a client that is set up wrongly slow down,
// and shows a flood as what it is.
//
// Clients are forgotten once their failures have no effect any more and places are
// needed. When all places are taken by clients whose failures still have effect,
// newcomers share the allowance of one client, all of them, until a place is free.
// Thus an attack from many addresses neither fills the memory nor wins its
// addresses a new allowance by flooding the table.
//
// It is safe for concurrent use.
type Limiter struct {
	limits Limits

	mu        sync.Mutex
	known     map[netip.Addr]*rate.Limiter
	newcomers *rate.Limiter
	swept     time.Time
}

// NewLimiter returns a limiter that remembers nobody.
func NewLimiter(l Limits) *Limiter {
	return &Limiter{limits: l, known: make(map[netip.Addr]*rate.Limiter), newcomers: l.allowance()}
}

func (l Limits) allowance() *rate.Limiter { return rate.NewLimiter(rate.Every(l.Refill), l.Burst) }

// Blocked notes that a request from the address failed to authenticate at the time
// now, and reports whether that was once too often. Failures while blocked do
// not prolong the block.
func (l *Limiter) Blocked(addr netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.allowanceOf(Client(addr), now).AllowN(now, 1)
}

func (l *Limiter) allowanceOf(addr netip.Addr, now time.Time) *rate.Limiter {
	if allowance := l.known[addr]; allowance != nil {
		return allowance
	}
	if len(l.known) >= l.limits.Clients {
		l.sweep(now)
	}
	if len(l.known) >= l.limits.Clients {
		return l.newcomers
	}
	allowance := l.limits.allowance()
	l.known[addr] = allowance
	return allowance
}

// sweep forgets those whose allowance is whole again: it is as good as a new one. It
// looks at all of them, and so not for each newcomer of a flood.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < l.limits.Refill {
		return
	}
	l.swept = now
	for addr, allowance := range l.known {
		if allowance.TokensAt(now) >= float64(l.limits.Burst) {
			delete(l.known, addr)
		}
	}
}
