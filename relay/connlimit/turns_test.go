package connlimit

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
)

func TestAddressesTakeTurns(t *testing.T) {
	turns := newTurns(1)
	crowd, other := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")
	if err := turns.take(context.Background(), crowd); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var served []string
	var all sync.WaitGroup
	join := func(name string, owner netip.Addr) {
		turns.mu.Lock()
		before := len(turns.waiting[owner])
		turns.mu.Unlock()
		all.Go(func() {
			if err := turns.take(context.Background(), owner); err != nil {
				t.Error(err)
			}
			mu.Lock()
			served = append(served, name)
			mu.Unlock()
			turns.give()
		})
		eventually(t, name+" waits", func() bool {
			turns.mu.Lock()
			defer turns.mu.Unlock()
			return len(turns.waiting[owner]) > before
		})
	}
	for n := range 4 {
		join(fmt.Sprint("crowd ", n), crowd)
	}
	join("other", other)
	turns.give()
	all.Wait()
	if want := []string{"crowd 3", "other", "crowd 2", "crowd 1", "crowd 0"}; !slices.Equal(served, want) {
		t.Errorf("served %q, want %q", served, want)
	}
	if turns.free != 1 || len(turns.waiting) != 0 || len(turns.owners) != 0 {
		t.Errorf("what is left: %+v", turns)
	}
}

func TestWhoGivesUpLeavesItsTurn(t *testing.T) {
	turns := newTurns(1)
	owner := netip.MustParseAddr("127.0.0.2")
	for range 200 {
		if err := turns.take(context.Background(), owner); err != nil {
			t.Fatal(err)
		}
		ctx, giveUp := context.WithCancel(context.Background())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if turns.take(ctx, owner) == nil {
				turns.give()
			}
		})
		waiting.Go(giveUp)
		waiting.Go(turns.give)
		waiting.Wait()
	}
	if turns.free != 1 || len(turns.waiting) != 0 || len(turns.owners) != 0 {
		t.Errorf("what is left: %+v", turns)
	}
}
