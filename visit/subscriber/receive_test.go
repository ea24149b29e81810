package subscriber_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// nextEventError skips what the connection reports.
func (r *run) nextEventError(t *testing.T) *subscriber.EventError {
	t.Helper()
	for {
		var e *subscriber.EventError
		if errors.As(next(t, r.errors), &e) {
			return e
		}
	}
}

func TestRetry_AFailedEventIsRedeliveredAfterItsBackoff(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	backoff := []time.Duration{50 * time.Millisecond, 300 * time.Millisecond}
	at := make(chan time.Time, 10)
	failure, tries := errors.New("no"), 0
	r := runEvents(t, s.js, subscriber.EventsConfig{Backoff: backoff}, func(context.Context, visit.Event) error {
		at <- time.Now()
		if tries++; tries < 4 {
			return failure
		}
		return nil
	})
	last := next(t, at)
	for i, want := range []time.Duration{backoff[0], backoff[1], backoff[1]} {
		e := r.nextEventError(t)
		if e.Deliveries != uint64(i+1) || e.RetryAfter != want || e.Final || e.ID != "a-0" || e.Sequence != 1 || !errors.Is(e, failure) {
			t.Errorf("%+v", e)
		}
		again := next(t, at)
		if waited := again.Sub(last); waited < want-10*time.Millisecond {
			t.Errorf("delivery %d came after %s, want %s", i+2, waited, want)
		}
		last = again
	}
	s.acknowledged(t, "badges")
	r.stop(t)
}

func TestHandler_APanicIsAFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 2)
	ids, panicked := make(chan string, 10), false
	r := runEvents(t, s.js, subscriber.EventsConfig{Backoff: []time.Duration{time.Millisecond}}, func(_ context.Context, e visit.Event) error {
		if !panicked {
			panicked = true
			panic("oh")
		}
		ids <- e.ID
		return nil
	})
	seen := map[string]bool{next(t, ids): true, next(t, ids): true}
	if !seen["a-0"] || !seen["a-1"] {
		t.Errorf("%v", seen)
	}
	var p *subscriber.PanicError
	if e := r.nextEventError(t); !errors.As(e, &p) || p.Value != "oh" || len(p.Stack) == 0 {
		t.Errorf("%v", e)
	}
	r.stop(t)
}

func TestRetry_EndsAtMaxDeliver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	cfg := subscriber.EventsConfig{MaxDeliver: 2, Backoff: []time.Duration{time.Millisecond}}
	r := runEvents(t, s.js, cfg, func(context.Context, visit.Event) error { return errors.New("no") })
	if e := r.nextEventError(t); e.Final {
		t.Errorf("%+v", e)
	}
	if e := r.nextEventError(t); !e.Final || e.RetryAfter != 0 {
		t.Errorf("%+v", e)
	}
	r.stop(t)
}

func TestRetry_AnInvalidEventIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	bad := []string{`Zmark`, `[]`, `{}`, `{"id":7}`, `{"id":"1"}`, `{"kind":"checked_in"}`, ``, `{"id":"1","kind":"checked_in","time":"Zmark"}`}
	for _, data := range bad {
		s.storeBytes(t, "visitors.v1.event.hq.checked_in", []byte(data))
	}
	s.storeBytes(t, "visitors.v1.event.hq.later", []byte(`{"id":"new","kind":"of_a_later_v1"}`))
	ids := make(chan string, 10)
	r := runEvents(t, s.js, subscriber.EventsConfig{}, collect(ids))
	if got := next(t, ids); got != "new" {
		t.Error(got)
	}
	for i := range bad {
		e := r.nextEventError(t)
		if !errors.Is(e, subscriber.ErrInvalidEvent) || !e.Final || e.Sequence != uint64(i+1) || e.Deliveries != 1 {
			t.Errorf("%+v", e)
		}
		if strings.Contains(e.Error(), "Zmark") {
			t.Errorf("the error quotes the message: %v", e)
		}
	}
	s.acknowledged(t, "badges")
	r.stop(t)
}

func TestHandler_MayTakeLongerThanAckWait(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	began, enough := make(chan string, 10), make(chan bool)
	cfg := subscriber.EventsConfig{AckWait: 3 * time.Second, Concurrency: 2}
	r := runEvents(t, s.js, cfg, func(_ context.Context, e visit.Event) error {
		began <- e.ID
		<-enough
		return nil
	})
	next(t, began)
	// The second handler is free and would get it.
	select {
	case <-began:
		t.Error("delivered again while it was being handled")
	case <-time.After(2 * cfg.AckWait):
	}
	close(enough)
	s.acknowledged(t, "badges")
	r.stop(t)
}

func TestHandler_RunsConcurrently(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 4)
	var together sync.WaitGroup
	together.Add(4)
	handled := make(chan string, 4)
	r := runEvents(t, s.js, subscriber.EventsConfig{Concurrency: 4}, func(_ context.Context, e visit.Event) error {
		together.Done()
		together.Wait() // for all four
		handled <- e.ID
		return nil
	})
	for range 4 {
		next(t, handled)
	}
	r.stop(t)
}

// Two runs with one durable, the first ended in the middle, see everything.
func TestShutdown_LosesNoEvents(t *testing.T) {
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

func TestShutdown_WaitsForARunningHandler(t *testing.T) {
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

func TestShutdown_HandlerContextEndsAfterTheGracePeriod(t *testing.T) {
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

func TestShutdown_AHandlerThatIgnoresItsContextIsAbandoned(t *testing.T) {
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
