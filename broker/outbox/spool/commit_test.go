package spool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestPut_ManyShareACommit(t *testing.T) {
	const clients, each = 64, 20
	s := openAt(t, t.TempDir())
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for n := range each {
				if err := s.Put(t.Context(), entry("a", fmt.Sprint(client, n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	st := s.Stats()
	if st.Entries != clients*each || st.Commits > clients*each/8 {
		t.Errorf("%d puts in %d commits", st.Entries, st.Commits)
	}
}

// Puts that trickle in share commits, too: a door that is asked meanwhile needs
// the processor.
func TestPut_ThoseThatTrickleInShareCommits(t *testing.T) {
	t.Parallel()
	s := openWith(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 30, window: time.Hour})
	put(t, s, entry("a", "the first is not held up"))
	var wg sync.WaitGroup
	for i := range batchReady {
		wg.Go(func() {
			if err := s.Put(t.Context(), entry("a", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); st.Commits != 2 {
		t.Errorf("%d puts in %d commits", batchReady+1, st.Commits)
	}
	closing := make(chan error)
	go func() { closing <- s.Put(context.Background(), entry("a", "last")) }()
	for { // until it is queued: then Close must not wait for batchReady
		s.mu.Lock()
		queued := len(s.waiting) > 0
		s.mu.Unlock()
		if queued {
			break
		}
		runtime.Gosched()
	}
	closed(t, s)
	if err := <-closing; err != nil {
		t.Error(err)
	}
}

func TestPut_AnIdleSpoolCommitsAtOnce(t *testing.T) {
	t.Parallel()
	s := openWith(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 30, window: time.Hour})
	s.signal()
	for len(s.wake) > 0 { // until the committer has looked, and found nothing
		runtime.Gosched()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Put(ctx, entry("a", "first")); err != nil {
		t.Error(err)
	}
}

func TestPut_AContextThatEndsInTheQueueStoresNothing(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	begun, goOn := hold(s)
	first := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { first <- s.Put(ctx, entry("a", "begun")) }()
	<-begun
	second := make(chan error, 1)
	queued, giveUp := context.WithCancelCause(t.Context())
	go func() { second <- s.Put(queued, entry("b", "queued")) }()
	for !s.Waiting(visit.RootEvent, "b") {
		runtime.Gosched()
	}
	reason := errors.New("the caller has gone")
	giveUp(reason)
	if err := <-second; !errors.Is(err, reason) {
		t.Errorf("a put that was queued: %v", err)
	}
	if s.Waiting(visit.RootEvent, "b") {
		t.Error("what was withdrawn is waiting")
	}
	cancel(reason)
	select {
	case err := <-first:
		t.Errorf("a put whose commit had begun did not wait: %v", err)
	default:
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Errorf("a put whose commit had begun: %v", err)
	}
	if err := s.Put(ctx, entry("c", "late")); !errors.Is(err, reason) {
		t.Errorf("a put whose context had ended: %v", err)
	}
	put(t, s, entry("d", "after"))
	if got := ids(all(t, s)); !slices.Equal(got, []string{"begun", "after"}) {
		t.Errorf("stored %v", got)
	}
	if st := s.Stats(); st.Bytes != s.queue.Bytes() {
		t.Errorf("bytes stay reserved: %+v", st)
	}
}

func TestClose_CommitsWhatIsQueued(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	begun, goOn := hold(s)
	done := make(chan error, 2)
	go func() { done <- s.Put(context.Background(), entry("a", "1")) }()
	<-begun
	go func() { done <- s.Put(context.Background(), entry("b", "2")) }()
	for !s.Waiting(visit.RootEvent, "b") {
		runtime.Gosched()
	}
	shut := make(chan error)
	go func() { shut <- s.Close() }()
	close(goOn)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := <-shut; err != nil {
		t.Fatal(err)
	}
	if got := ids(all(t, openAt(t, dir))); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("stored %v", got)
	}
}

func TestDisk_ASlowOneIsRememberedForAWhile(t *testing.T) {
	t.Parallel()
	s := openAt(t, t.TempDir())
	put(t, s, entry("a", "1"))
	if s.Slowness() == 0 {
		t.Error("a put was not measured")
	}
	s.took(time.Second)
	s.took(time.Millisecond)
	if got := s.Slowness(); got > time.Second || got < time.Second/2 {
		t.Errorf("just after a second: %s", got)
	}
	for range 200 {
		s.took(time.Millisecond)
	}
	if got := s.Slowness(); got > 2*time.Millisecond {
		t.Errorf("long after: %s", got)
	}
}
