// Package ratelimit limits how often each of many clients may do something, in bounded
// memory.
package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what one client may do. All must be positive.
type Limits struct {
	// Burst is how often it may at once.
	Burst int
	// Refill is after what time it may once more, up to Burst again.
	Refill time.Duration
	// Clients is how many clients are remembered.
	Clients int
}

// Limiter limits clients by their keys.
//
// Clients are forgotten once what they did has no effect any more and places are
// needed. When all places are taken by clients for whom it still has effect, newcomers
// share the allowance of one client, all of them, until a place is free. Thus many
// clients neither fill the memory nor win others a new allowance by flooding the table.
//
// It is safe for concurrent use.
type Limiter[K comparable] struct {
	limits Limits

	mu        sync.Mutex
	known     map[K]*rate.Limiter
	newcomers *rate.Limiter
	swept     time.Time
}

// New returns a limiter that remembers nobody.
func New[K comparable](l Limits) *Limiter[K] {
	return &Limiter[K]{limits: l, known: make(map[K]*rate.Limiter), newcomers: l.allowance()}
}

func (l Limits) allowance() *rate.Limiter { return rate.NewLimiter(rate.Every(l.Refill), l.Burst) }

// Allow reports whether a client may do it at the time now, and counts it then.
func (l *Limiter[K]) Allow(key K, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.allowanceOf(key, now).AllowN(now, 1)
}

// Take is Allow for whoever wants to know after what time the client may: 0 is now.
func (l *Limiter[K]) Take(key K, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.allowanceOf(key, now).ReserveN(now, 1)
	if wait = taken.DelayFrom(now); wait > 0 {
		taken.CancelAt(now) // what is refused does not prolong the waiting
	}
	return wait
}

func (l *Limiter[K]) allowanceOf(key K, now time.Time) *rate.Limiter {
	if allowance := l.known[key]; allowance != nil {
		return allowance
	}
	if len(l.known) >= l.limits.Clients {
		l.sweep(now)
	}
	if len(l.known) >= l.limits.Clients {
		return l.newcomers
	}
	allowance := l.limits.allowance()
	l.known[key] = allowance
	return allowance
}

// sweep forgets those whose allowance is whole again: it is as good as a new one. It
// looks at all of them, and so not for each newcomer of a flood.
func (l *Limiter[K]) sweep(now time.Time) {
	if now.Sub(l.swept) < l.limits.Refill {
		return
	}
	l.swept = now
	for key, allowance := range l.known {
		if allowance.TokensAt(now) >= float64(l.limits.Burst) {
			delete(l.known, key)
		}
	}
}
