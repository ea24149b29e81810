package share

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// ErrTooMuch is returned to who wants more than the whole capacity.
var ErrTooMuch = errors.New("more than there is")

// Limiter bounds what users hold at the same time, each to its share. Those of
// one user who wait get their turn in the order in which they came, and the users
// one after another: a thousand who wait for one do not stand before the first
// of another. It is safe for concurrent use.
type Limiter struct {
	mu    sync.Mutex
	pool  Pool
	users map[string]*user
	// waiting are the users with somebody who waits, and next is whose turn
	// it is among them.
	waiting []*user
	next    int
	// short is set while a user who holds nothing waits for room, and not for
	// others of its own. Then nobody else takes any, or small wishes would
	// always come before a large one.
	short bool
}

// user is one of those who share.
type user struct {
	holds  int64
	queue  list.List // of *waiter
	inLine bool      // is among those with somebody who waits
}

type waiter struct {
	n     int64
	given chan struct{} // closed when it has what it waits for
}

// NewLimiter returns a limiter for so much, all of it for one user until
// [Limiter.Among] says otherwise.
func NewLimiter(capacity int64) *Limiter {
	return &Limiter{pool: Pool{Capacity: capacity, Users: 1}, users: make(map[string]*user)}
}

// Among says how many users there are. What they hold they keep.
func (l *Limiter) Among(users int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pool.Users, l.pool.Claimed = users, 0
	least := l.pool.Minimum()
	for _, u := range l.users {
		l.pool.Claimed += min(u.holds, least)
	}
	l.wake()
}

// Reservation is what a user holds until it is released.
type Reservation struct {
	limiter *Limiter
	user    *user
	n       int64
}

// TryAcquire takes n for a user if its share has room for it right now.
func (l *Limiter) TryAcquire(name string, n int64) (Reservation, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.user(name)
	if l.short || u.queue.Len() > 0 || !l.pool.Allows(u.holds, n) {
		return Reservation{}, false
	}
	l.take(u, n)
	return Reservation{l, u, n}, true
}

// Acquire takes n for a user as soon as its share has room for it and those who
// came before have had their turn. It returns the error of ctx when ctx ends
// before, and [ErrTooMuch] at once for more than there is.
func (l *Limiter) Acquire(ctx context.Context, name string, n int64) (Reservation, error) {
	if n > l.pool.Capacity {
		return Reservation{}, ErrTooMuch
	}
	if r, ok := l.TryAcquire(name, n); ok {
		return r, nil
	}
	u, w, place := l.enqueue(name, n)
	select {
	case <-w.given:
		return Reservation{l, u, n}, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.given: // at the same time
		return Reservation{l, u, n}, nil
	default:
	}
	u.queue.Remove(place)
	l.wake() // it may have stood before others
	return Reservation{}, ctx.Err()
}

func (l *Limiter) enqueue(name string, n int64) (*user, *waiter, *list.Element) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u, w := l.user(name), &waiter{n, make(chan struct{})}
	place := u.queue.PushBack(w)
	if !u.inLine {
		u.inLine = true
		l.waiting = append(l.waiting, u)
	}
	l.wake() // what was missing may have been released meanwhile
	return u, w, place
}

// Release gives everything back. It must be called once.
func (r Reservation) Release() { r.release(r.n) }

// Shrink gives back what exceeds n, and returns what is held from now on.
func (r Reservation) Shrink(n int64) Reservation {
	if n >= r.n {
		return r
	}
	r.release(r.n - n)
	r.n = n
	return r
}

func (r Reservation) release(n int64) {
	r.limiter.mu.Lock()
	defer r.limiter.mu.Unlock()
	r.limiter.take(r.user, -n)
	r.limiter.wake()
}

// Taken is what all users hold.
func (l *Limiter) Taken() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pool.Taken
}

// Capacity is all there is.
func (l *Limiter) Capacity() int64 { return l.pool.Capacity }

// user returns a user's account. They are kept: there are as many as names.
func (l *Limiter) user(name string) *user {
	u := l.users[name]
	if u == nil {
		u = &user{}
		l.users[name] = u
	}
	return u
}

// take books n, or gives it back where it is negative.
func (l *Limiter) take(u *user, n int64) {
	least := l.pool.Minimum()
	l.pool.Claimed -= min(u.holds, least)
	u.holds += n
	l.pool.Taken += n
	l.pool.Claimed += min(u.holds, least)
}

// wake gives to those who wait what there is, one user after another.
func (l *Limiter) wake() {
	l.short = false
	for refused := 0; refused < len(l.waiting); {
		l.next %= len(l.waiting)
		u := l.waiting[l.next]
		first := u.queue.Front()
		if first == nil { // all have given up
			l.forget()
			continue
		}
		w := first.Value.(*waiter)
		switch {
		case l.pool.Allows(u.holds, w.n):
			u.queue.Remove(first)
			l.take(u, w.n)
			close(w.given)
			refused = 0
			l.next++
		case u.holds == 0:
			l.short = true
			return
		default:
			refused++
			l.next++
		}
	}
}

// forget takes the user whose turn it is from those with somebody who waits.
func (l *Limiter) forget() {
	l.waiting[l.next].inLine = false
	l.waiting = append(l.waiting[:l.next], l.waiting[l.next+1:]...)
}
