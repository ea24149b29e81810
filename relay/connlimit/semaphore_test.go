package connlimit

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
)

func TestSemaphore_ServesAddressesInTurn(t *testing.T) {
	semaphore := newSemaphore(1)
	crowd, other := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")
	if err := semaphore.acquire(context.Background(), crowd); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var served []string
	var all sync.WaitGroup
	join := func(name string, owner netip.Addr) {
		semaphore.mu.Lock()
		before := len(semaphore.waiting[owner])
		semaphore.mu.Unlock()
		all.Go(func() {
			if err := semaphore.acquire(context.Background(), owner); err != nil {
				t.Error(err)
			}
			mu.Lock()
			served = append(served, name)
			mu.Unlock()
			semaphore.release()
		})
		eventually(t, name+" waits", func() bool {
			semaphore.mu.Lock()
			defer semaphore.mu.Unlock()
			return len(semaphore.waiting[owner]) > before
		})
	}
	for n := range 4 {
		join(fmt.Sprint("crowd ", n), crowd)
	}
	join("other", other)
	semaphore.release()
	all.Wait()
	if want := []string{"crowd 3", "other", "crowd 2", "crowd 1", "crowd 0"}; !slices.Equal(served, want) {
		t.Errorf("served %q, want %q", served, want)
	}
	if semaphore.free != 1 || len(semaphore.waiting) != 0 || len(semaphore.owners) != 0 {
		t.Errorf("what is left: %+v", semaphore)
	}
}

func TestSemaphore_WhoGivesUpHoldsNothing(t *testing.T) {
	semaphore := newSemaphore(1)
	owner := netip.MustParseAddr("127.0.0.2")
	for range 200 {
		if err := semaphore.acquire(context.Background(), owner); err != nil {
			t.Fatal(err)
		}
		ctx, giveUp := context.WithCancel(context.Background())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if semaphore.acquire(ctx, owner) == nil {
				semaphore.release()
			}
		})
		waiting.Go(giveUp)
		waiting.Go(semaphore.release)
		waiting.Wait()
	}
	if semaphore.free != 1 || len(semaphore.waiting) != 0 || len(semaphore.owners) != 0 {
		t.Errorf("what is left: %+v", semaphore)
	}
}
