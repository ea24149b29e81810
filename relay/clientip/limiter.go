package clientip

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound the failures of one client. A field that is not positive stands
// for its default.
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

func (l Limits) complete() Limits {
	d := DefaultLimits
	return Limits{
		Burst:   positive(l.Burst, d.Burst),
		Refill:  positive(l.Refill, d.Refill),
		Clients: positive(l.Clients, d.Clients),
	}
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Limiter limits how often a client may fail to authenticate. A client is an
// IPv4 address or the /64 of an IPv6 address, of which one customer has all; those
// without an address are one client.
//
// It is for those who have failed already: a valid key is to be accepted
// whatever the limiter would say of its sender. So it keeps nobody from guessing
// keys, which their length does; it has a client that is set up wrongly slow down,
// and shows a flood as what it is.
//
// A client is forgotten once its failures have no effect any more and its place
// is needed, the one that failed least recently first. When all places are taken
// by clients whose failures still have effect, nobody is forgotten: newcomers
// then share the allowance of one client, all of them, until a place is free.
// Thus an attack from many addresses neither fills the memory nor wins its
// addresses a new allowance by flooding the table.
//
// It is safe for concurrent use.
type Limiter struct {
	limits Limits

	mu        sync.Mutex
	recent    *list.List // of *client, the one that failed last in front
	known     map[netip.Addr]*list.Element
	newcomers *rate.Limiter
}

type client struct {
	addr      netip.Addr
	allowance *rate.Limiter
}

// NewLimiter returns a limiter that remembers nobody.
func NewLimiter(l Limits) *Limiter {
	l = l.complete()
	return &Limiter{
		limits: l, recent: list.New(), known: make(map[netip.Addr]*list.Element),
		newcomers: l.allowance(),
	}
}

func (l Limits) allowance() *rate.Limiter { return rate.NewLimiter(rate.Every(l.Refill), l.Burst) }

// Blocked notes that a call from the address failed to authenticate at the time
// now, and reports whether that was once too often. Failures while blocked do
// not prolong the block.
func (l *Limiter) Blocked(addr netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.allowanceOf(Client(addr), now).AllowN(now, 1)
}

func (l *Limiter) allowanceOf(addr netip.Addr, now time.Time) *rate.Limiter {
	if e := l.known[addr]; e != nil {
		l.recent.MoveToFront(e)
		return e.Value.(*client).allowance
	}
	if l.recent.Len() < l.limits.Clients {
		c := &client{addr, l.limits.allowance()}
		l.known[addr] = l.recent.PushFront(c)
		return c.allowance
	}
	oldest := l.recent.Back()
	c := oldest.Value.(*client)
	if c.allowance.TokensAt(now) < float64(l.limits.Burst) {
		return l.newcomers
	}
	// An allowance that is whole again is as good as a new one.
	delete(l.known, c.addr)
	c.addr = addr
	l.known[addr] = oldest
	l.recent.MoveToFront(oldest)
	return c.allowance
}

// Client returns the address that stands for all of a client: an IPv4 address, or
// the /64 of an IPv6 address, of which one customer has all.
func Client(addr netip.Addr) netip.Addr {
	addr = plain(addr)
	if !addr.Is6() {
		return addr
	}
	network, err := addr.Prefix(64)
	if err != nil {
		panic(err) // 64 bits are in every IPv6 address
	}
	return network.Addr()
}
