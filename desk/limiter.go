package desk

import (
	"context"
	"errors"
	"sync"
)

var (
	errBusy     = errors.New("others are reading so much that you would have to wait; try again")
	errBusySelf = errors.New("you are reading much already, perhaps in another window; try again when that has ended")
)

// limiter bounds how many read much at once, so that NATS and the desk are not overloaded.
// One user is only some of them, however many pages that user opens.
type limiter struct {
	all     chan struct{}
	perUser int

	mu    sync.Mutex
	users map[string]*reservations
}

// reservations are those of one user, as long as there is one or somebody waits for one.
type reservations struct {
	taken  chan struct{}
	wanted int
}

func newLimiter(n, perUser int) *limiter {
	return &limiter{all: make(chan struct{}, n), perUser: perUser, users: map[string]*reservations{}}
}

// acquire waits until one may read much or ctx ends. Another may once release was called.
func (l *limiter) acquire(ctx context.Context, user string) (release func(), err error) {
	own := l.want(user)
	select {
	case own.taken <- struct{}{}:
	case <-ctx.Done():
		l.leave(user, own)
		return nil, errBusySelf
	}
	select {
	case l.all <- struct{}{}:
	case <-ctx.Done():
		<-own.taken
		l.leave(user, own)
		return nil, errBusy
	}
	return func() {
		<-l.all
		<-own.taken
		l.leave(user, own)
	}, nil
}

func (l *limiter) want(user string) *reservations {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.users[user]
	if own == nil {
		own = &reservations{taken: make(chan struct{}, l.perUser)}
		l.users[user] = own
	}
	own.wanted++
	return own
}

func (l *limiter) leave(user string, own *reservations) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own.wanted--; own.wanted == 0 {
		delete(l.users, user)
	}
}
