package desk

import (
	"context"
	"errors"
	"sync"
)

var (
	errBusy     = errors.New("others are reading so much that there is no place left; try again")
	errBusySelf = errors.New("you are reading much already, perhaps in another window; try again when that has ended")
)

// places are what those who read much need, so that NATS and the desk are not overloaded.
// One user has only some of them, however many pages that user opens.
type places struct {
	all     chan struct{}
	perUser int

	mu    sync.Mutex
	users map[string]*userPlaces
}

// userPlaces are those of one user, as long as somebody has or wants one.
type userPlaces struct {
	taken  chan struct{}
	wanted int
}

func newPlaces(n, perUser int) *places {
	return &places{all: make(chan struct{}, n), perUser: perUser, users: map[string]*userPlaces{}}
}

// take waits for a place until ctx ends. The place is free again once free was called.
func (p *places) take(ctx context.Context, user string) (free func(), err error) {
	own := p.want(user)
	select {
	case own.taken <- struct{}{}:
	case <-ctx.Done():
		p.leave(user, own)
		return nil, errBusySelf
	}
	select {
	case p.all <- struct{}{}:
	case <-ctx.Done():
		<-own.taken
		p.leave(user, own)
		return nil, errBusy
	}
	return func() {
		<-p.all
		<-own.taken
		p.leave(user, own)
	}, nil
}

func (p *places) want(user string) *userPlaces {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.users[user]
	if own == nil {
		own = &userPlaces{taken: make(chan struct{}, p.perUser)}
		p.users[user] = own
	}
	own.wanted++
	return own
}

func (p *places) leave(user string, own *userPlaces) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own.wanted--; own.wanted == 0 {
		delete(p.users, user)
	}
}
