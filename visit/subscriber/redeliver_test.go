package subscriber_test

import (
	"context"
	"errors"
	"strings"
	"sync"
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

func TestAFailedEventComesAgainAfterItsBackoff(t *testing.T) {
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
		if e.Deliveries != uint64(i+1) || e.Retry != want || e.Final || e.ID != "a-0" || e.Sequence != 1 || !errors.Is(e, failure) {
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

func TestAPanicIsAFailure(t *testing.T) {
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

func TestDeliveriesEndOnlyWhenToldTo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	cfg := subscriber.EventsConfig{MaxDeliver: 2, Backoff: []time.Duration{time.Millisecond}}
	r := runEvents(t, s.js, cfg, func(context.Context, visit.Event) error { return errors.New("no") })
	if e := r.nextEventError(t); e.Final {
		t.Errorf("%+v", e)
	}
	if e := r.nextEventError(t); !e.Final || e.Retry != 0 {
		t.Errorf("%+v", e)
	}
	r.stop(t)
}

func TestAMessageThatIsNotAnEventComesOnce(t *testing.T) {
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
		if !errors.Is(e, subscriber.ErrNotAnEvent) || !e.Final || e.Sequence != uint64(i+1) || e.Deliveries != 1 {
			t.Errorf("%+v", e)
		}
		if strings.Contains(e.Error(), "Zmark") {
			t.Errorf("the error quotes the message: %v", e)
		}
	}
	s.acknowledged(t, "badges")
	r.stop(t)
}

func TestAHandlerMayTakeLongerThanAckWait(t *testing.T) {
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

func TestHandlersRunConcurrently(t *testing.T) {
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
