package outbox

import (
	"context"
	"sync"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/visit"
)

// keyedMutex lets messages of one visit pass one at a time, in the order in which
// they came: while the first is being stored, or finds its way into the spool,
// the second must not overtake it. Other messages pass at once: those of an
// integration are many at a time. The zero value is ready.
type keyedMutex struct {
	mu   sync.Mutex
	busy map[string]*keyLock
}

type keyLock struct {
	held  chan struct{} // holds a token while it is locked
	users int
}

// lock waits for the message's turn, or until ctx ends. Whoever has the lock calls
// unlock.
func (k *keyedMutex) lock(ctx context.Context, m visit.Message) (unlock func(), err error) {
	if !m.OfVisit() {
		return func() {}, nil
	}
	one := k.join(m.OrderingKey)
	select {
	case one.held <- struct{}{}:
		return func() { <-one.held; k.quit(m.OrderingKey, one) }, nil
	case <-ctx.Done():
		k.quit(m.OrderingKey, one)
		return nil, conn.ContextError(ctx)
	}
}

func (k *keyedMutex) join(key string) *keyLock {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy == nil {
		k.busy = make(map[string]*keyLock)
	}
	one := k.busy[key]
	if one == nil {
		one = &keyLock{held: make(chan struct{}, 1)}
		k.busy[key] = one
	}
	one.users++
	return one
}

func (k *keyedMutex) quit(key string, one *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(k.busy, key)
	}
}
