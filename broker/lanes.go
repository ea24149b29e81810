package broker

import (
	"context"
	"sync"

	"github.com/sine-relay/sine-relay/visit"
)

// lanes lets messages of one visit pass one at a time, in the order in which
// they came: while the first is being stored, or finds its way into the spool,
// the second must not overtake it. Other messages pass at once: those of an
// integration are many at a time. The zero value is ready.
type lanes struct {
	mu   sync.Mutex
	busy map[string]*lane
}

type lane struct {
	turn  chan struct{} // holds a token while somebody has the turn
	users int
}

// enter waits for the message's turn, or until ctx ends. Whoever has entered
// calls leave.
func (l *lanes) enter(ctx context.Context, m visit.Message) (leave func(), err error) {
	if !m.OfVisit() {
		return func() {}, nil
	}
	one := l.join(m.OrderingKey)
	select {
	case one.turn <- struct{}{}:
		return func() { <-one.turn; l.quit(m.OrderingKey, one) }, nil
	case <-ctx.Done():
		l.quit(m.OrderingKey, one)
		return nil, over(ctx)
	}
}

func (l *lanes) join(order string) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy == nil {
		l.busy = make(map[string]*lane)
	}
	one := l.busy[order]
	if one == nil {
		one = &lane{turn: make(chan struct{}, 1)}
		l.busy[order] = one
	}
	one.users++
	return one
}

func (l *lanes) quit(order string, one *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(l.busy, order)
	}
}
