package connlimit

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// turns let so many TLS handshakes be computed at once. Were there no bound, a
// flood of them would take all processors from those who are being answered.
//
// The addresses take turns, so that who floods waits for itself. Of one address
// the newest is first: the oldest is the next that is closed to make room.
type turns struct {
	mu      sync.Mutex
	free    int
	owners  []netip.Addr // who wait, in the order of their turns, each once
	waiting map[netip.Addr][]chan struct{}
}

func newTurns(n int) *turns { return &turns{free: n, waiting: map[netip.Addr][]chan struct{}{}} }

// take returns once it is the caller's turn, which ends by give, or with the error
// of ctx.
func (t *turns) take(ctx context.Context, owner netip.Addr) error {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	if len(t.waiting[owner]) == 0 {
		t.owners = append(t.owners, owner)
	}
	t.waiting[owner] = append(t.waiting[owner], mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	if !t.withdraw(owner, mine) {
		t.give() // the turn came at the same moment
	}
	return ctx.Err()
}

// withdraw reports false when the turn has come already.
func (t *turns) withdraw(owner netip.Addr, mine chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting[owner], mine)
	if i < 0 {
		return false
	}
	t.keep(owner, slices.Delete(t.waiting[owner], i, i+1))
	if len(t.waiting[owner]) == 0 {
		t.owners = slices.DeleteFunc(t.owners, func(o netip.Addr) bool { return o == owner })
	}
	return true
}

// keep is for who holds the lock.
func (t *turns) keep(owner netip.Addr, left []chan struct{}) {
	if len(left) == 0 {
		delete(t.waiting, owner)
		return
	}
	t.waiting[owner] = left
}

// give ends a turn.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.owners) == 0 {
		t.free++
		return
	}
	owner := t.owners[0]
	t.owners = t.owners[1:]
	all := t.waiting[owner]
	newest := all[len(all)-1]
	t.keep(owner, all[:len(all)-1])
	if len(all) > 1 {
		t.owners = append(t.owners, owner)
	}
	close(newest)
}
