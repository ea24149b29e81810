package subscriber_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// Two runs with one durable, the first ended in the middle, see everything.
func TestEndingTheContextLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const n = 200
	s.store(t, "hq", "a", n)
	ids := make(chan string, 10*n)
	cfg := subscriber.EventsConfig{Concurrency: 8, AckWait: time.Second}
	var count atomic.Int64
	inMiddle, leave := make(chan bool, n), make(chan bool)
	first := runEvents(t, s.js, cfg, func(_ context.Context, e visit.Event) error {
		if count.Add(1) > n/4 {
			inMiddle <- true
			<-leave
		}
		ids <- e.ID
		return nil
	})
	next(t, inMiddle)
	first.end()
	close(leave)
	first.stop(t)
	if len(ids) >= n/2 {
		t.Errorf("went on to handle %d after its end", len(ids))
	}
	second := runEvents(t, s.js, cfg, collect(ids))
	seen := map[string]bool{}
	for len(seen) < n {
		seen[next(t, ids)] = true
	}
	second.stop(t)
}

func TestAHandlerThatRunsIsFinished(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 2)
	entered, leave := make(chan context.Context, 2), make(chan bool)
	r := runEvents(t, s.js, subscriber.EventsConfig{}, func(ctx context.Context, _ visit.Event) error {
		entered <- ctx
		<-leave
		return ctx.Err()
	})
	ctx := next(t, entered)
	r.end()
	select {
	case err := <-r.done:
		t.Fatalf("did not wait for the handler: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if ctx.Err() != nil {
		t.Error("the handler's context has ended with its caller's")
	}
	close(leave)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if i := s.acknowledged(t, "badges"); i.AckFloor.Stream != 1 {
		t.Errorf("acknowledged up to %d", i.AckFloor.Stream)
	}
}

func TestAHandlersContextEndsAfterTheGracePeriod(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	cfg := subscriber.EventsConfig{GracePeriod: 20 * time.Millisecond, Backoff: []time.Duration{time.Millisecond}}
	entered := make(chan bool, 1)
	r := runEvents(t, s.js, cfg, func(ctx context.Context, _ visit.Event) error {
		entered <- true
		<-ctx.Done()
		return ctx.Err()
	})
	next(t, entered)
	r.stop(t)
	again := make(chan string, 1)
	second := runEvents(t, s.js, cfg, collect(again))
	next(t, again)
	second.stop(t)
}

func TestAHandlerThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	cfg := subscriber.EventsConfig{GracePeriod: 10 * time.Millisecond, AckWait: 200 * time.Millisecond}
	entered, leave := make(chan bool, 1), make(chan bool)
	defer close(leave)
	r := runEvents(t, s.js, cfg, func(context.Context, visit.Event) error {
		entered <- true
		<-leave
		return nil
	})
	next(t, entered)
	r.end()
	if err := r.wait(t); !errors.Is(err, subscriber.ErrStillRunning) {
		t.Errorf("%v", err)
	}
	// Its message is not kept back by heartbeats.
	again := make(chan string, 1)
	second := runEvents(t, s.js, cfg, collect(again))
	next(t, again)
	second.stop(t)
}
