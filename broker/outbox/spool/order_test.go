package spool

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestRuns_BeginWithTheOldestOfEachKey(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	put(t, s, entry("a", "a1"), entry("a", "a2"), entry("b", "b1"), entry("c", "c1"), entry("b", "b2"))
	for _, c := range []struct {
		max    int
		remove uint64
		want   []string
	}{
		{9, 0, []string{"a1", "b1", "c1"}},
		{2, 0, []string{"a1", "b1"}},
		{0, 0, []string{}},
		{9, 1, []string{"a2", "b1", "c1"}},
		{9, 2, []string{"b1", "c1"}},
		{9, 5, []string{"b1", "c1"}}, // not a head
		{9, 3, []string{"c1"}},
		{9, 4, []string{}},
	} {
		if c.remove > 0 {
			remove(t, s, c.remove)
		}
		if got := ids(nextOfEach(t, s, c.max)); !slices.Equal(got, c.want) {
			t.Errorf("max %d after removing %d: %v, want %v", c.max, c.remove, got, c.want)
		}
	}
}

func TestRuns_KeepTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	put(t, s, entry("a", "a1"), entry("b", "b1"), entry("a", "a2"), entry("a", "a3"),
		sized("c", "c1", readBytes), entry("c", "c2"))
	runs, err := s.Runs(visit.RootEvent, 9, 6)
	if err != nil {
		t.Fatal(err)
	}
	got := [][]string{}
	for _, run := range runs {
		got = append(got, ids(run))
	}
	// c1 would take more than one call brings.
	if want := "[[a1 a2] [b1]]"; fmt.Sprint(got) != want {
		t.Errorf("runs %v, want %s", got, want)
	}
	remove(t, s, 1, 2, 3, 4)
	if runs, err = s.Runs(visit.RootEvent, 9, 6); err != nil || len(runs) != 1 || len(runs[0]) != 1 {
		t.Errorf("an entry larger than one call brings: %d runs, %v", len(runs), err)
	}
}

// TestOrder_HoldsUnderConcurrency has clients put under a key of their own while one
// drains by NextOfEach.
func TestOrder_HoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	const clients, each = 16, 40
	s := openAt(t, t.TempDir())
	ctx := t.Context()
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			order := fmt.Sprint(client)
			for n := range each {
				if err := s.Put(ctx, entry(order, fmt.Sprint(n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := map[string]int{}
	for sent := 0; sent < clients*each; {
		var gone []uint64
		for _, i := range nextOfEach(t, s, 10) {
			if want := fmt.Sprint(next[i.Order]); i.Message.ID != want {
				t.Fatalf("key %s: %s, want %s", i.Order, i.Message.ID, want)
			}
			next[i.Order]++
			gone = append(gone, i.Sequence)
		}
		if len(gone) > 0 {
			remove(t, s, gone...)
		}
		sent += len(gone)
	}
	wg.Wait()
	if st := s.Stats(); st.Entries != 0 || st.Bytes != 0 {
		t.Errorf("left: %+v", st)
	}
}

func TestWaiting_IsExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	ctx := t.Context()
	var wg sync.WaitGroup
	for client := range 16 {
		wg.Go(func() {
			order := fmt.Sprint(client)
			for n := range 30 {
				if s.Waiting(visit.RootEvent, order) {
					t.Errorf("key %s waits before put %d", order, n)
				}
				if err := s.Put(ctx, entry(order, order)); err != nil {
					t.Error(err)
				}
				if !s.Waiting(visit.RootEvent, order) {
					t.Errorf("key %s does not wait after put %d", order, n)
				}
				items, err := s.NextOfEach(100)
				if err != nil {
					t.Error(err)
				}
				for _, i := range items {
					if i.Order == order {
						if err := s.Remove(ctx, i.Sequence); err != nil {
							t.Error(err)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestWaiting_CoversWhatIsBeingCommitted(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	begun, goOn := hold(s)
	done := make(chan error)
	go func() { done <- s.Put(context.Background(), entry("a", "1")) }()
	<-begun
	if !s.Waiting(visit.RootEvent, "a") || s.Waiting(visit.RootEvent, "b") {
		t.Error("waiting is wrong during the commit")
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// hold stops each commit at its beginning until goOn is closed. The first one
// is reported.
func hold(s *Spool) (begun <-chan struct{}, goOn chan struct{}) {
	b, g := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(b) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holdCommit = func() { first(); <-g }
	return b, g
}

func TestRuns_PassOverParkedKeys(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	for i := range 100 {
		put(t, s, entry(fmt.Sprint("stuck-", i), fmt.Sprint(i)), entry(fmt.Sprint("stuck-", i), fmt.Sprint(i, "b")))
		s.Park(visit.RootEvent, fmt.Sprint("stuck-", i))
	}
	put(t, s, entry("free", "free"), entry("stuck-7", "7c"))
	s.Park(visit.RootEvent, "no such key")
	next := func(want ...string) {
		t.Helper()
		if got := ids(nextOfEach(t, s, 3)); !slices.Equal(got, want) {
			t.Errorf("next are %v, want %v", got, want)
		}
	}
	next("free")
	for range 2 { // the second time does nothing
		s.Unpark(visit.RootEvent, "stuck-7", "stuck-3", "no such key")
		next("3", "7", "free")
	}
	s.Park(visit.RootEvent, "stuck-3")
	remove := func(sequences ...uint64) {
		t.Helper()
		if err := s.Remove(t.Context(), sequences...); err != nil {
			t.Fatal(err)
		}
	}
	remove(15) // "7"
	next("7b", "free")
	remove(7, 8) // all of stuck-3, while it is parked
	put(t, s, entry("stuck-3", "again"))
	next("7b", "free", "again")
}
