package relay

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestBeyondTheCapVisitorsGetTheFallbackAtOnce(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.Requests = 1 })
	asked, proceed := make(chan struct{}), make(chan struct{})
	r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
		close(asked)
		<-proceed
		return visit.Decision{Verdict: visit.Accept}, nil
	}
	first := make(chan int)
	go func() { first <- r.post("/sine/lobby", checkInBody).Code }()
	<-asked
	if w := r.post("/sine/lobby", checkInBody); w.Code != 200 || !strings.Contains(w.Body.String(), "REJECTED") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if r.outcomes("check_in_request", "overloaded") != 1 {
		t.Error("not counted as overloaded")
	}
	if w := r.post("/sine/lobby", checkedIn); w.Code != 200 || r.settledAs(outcomeStored) != 1 {
		t.Errorf("an event was held up by waiting visitors: %d", w.Code)
	}
	close(proceed)
	if code := <-first; code != 200 {
		t.Errorf("the first visitor got %d", code)
	}
}

func TestEventsBeyondTheirCapWait(t *testing.T) {
	r := newRig(t, func(cfg *Config) {
		cfg.Limits.Events, cfg.Limits.WaitingEvents = 1, 2
		cfg.Limits.StoreBudget = patience / 2
		cfg.Limits.WriteTimeout = 2 * patience
	})
	publishing, proceed := make(chan struct{}, 10), make(chan struct{})
	r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
		publishing <- struct{}{}
		<-proceed
		return visit.Receipt{}, nil
	}
	codes := make(chan int, 3)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { codes <- r.post("/sine/lobby", checkedIn).Code })
	}
	<-publishing
	eventually(t, "two events waiting", func() bool { return r.limiter.waiting.Taken() == 2 })
	if w := r.post("/sine/lobby", checkedIn); w.Code != 503 {
		t.Errorf("beyond the waiting room: %d, want 503", w.Code)
	}
	close(proceed)
	all.Wait()
	for range 3 {
		if code := <-codes; code != 200 {
			t.Errorf("a waiting event got %d", code)
		}
	}
	if received, settled := r.ledger(t); received != 4 || settled != 4 {
		t.Errorf("%v received, %v settled", received, settled)
	}
}

func TestAEventWaitsNoLongerThanItsBudget(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.Events, cfg.Limits.StoreBudget = 1, 50*time.Millisecond })
	if _, err := r.limiter.acquireEvent(context.Background(), "lobby", &bodyReservation{}, 1); err != nil {
		t.Fatal(err)
	}
	if w := r.post("/sine/lobby", checkedIn); w.Code != 503 {
		t.Errorf("answered %d, want 503", w.Code)
	}
}

// Events that cannot be stored right now pile up until they are refused, and all
// the while a visitor is answered without delay.
func TestWaitingEventsLeaveMemoryToTheDoor(t *testing.T) {
	const events, room = 40, 20 // so many are sent, and so many would fill the memory
	r := newRig(t, func(cfg *Config) {
		cfg.Limits.Body, cfg.Limits.BodyMemory = int64(len(checkInBody)), room*BodyCost(int64(len(checkedIn)))
		cfg.Limits.Events, cfg.Limits.StoreBudget, cfg.Limits.WriteTimeout = 2, patience, 2*patience
		cfg.Integrations[0].Budget = patience
	})
	proceed := make(chan struct{})
	r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
		<-proceed
		return visit.Receipt{}, nil
	}
	codes := make(chan int, events)
	for range events {
		go func() { codes <- r.post("/sine/lobby", checkedIn).Code }()
	}
	const kept = room * 3 / 4
	for range events - kept {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("an event without room was answered %d, want 503", code)
		}
	}
	door := make(chan string, 1)
	go func() { door <- r.post("/sine/lobby", checkInBody).Body.String() }()
	select {
	case body := <-door:
		if !strings.Contains(body, "Welcome") {
			t.Errorf("the visitor was answered %s", body)
		}
	case <-time.After(patience / 2):
		t.Error("the visitor waits for the events")
	}
	close(proceed)
	for range kept {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("an event that waited was answered %d", code)
		}
	}
	if received, settled := r.ledger(t); received != events || settled != events {
		t.Errorf("%v received, %v settled", received, settled)
	}
}

func TestWithoutRoomForABody(t *testing.T) {
	for path, want := range map[string]int{
		"/sine/lobby":                   503, // it may be an event, which must not be told 200
		"/sine/lobby/check-in-success":  503,
		"/sine/lobby/check-in-request":  200, // the fallback
		"/sine/lobby/check-out-success": 503,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(cfg *Config) {
				cfg.Limits.Body, cfg.Limits.BodyMemory, cfg.Limits.StoreBudget = 1000, BodyCost(1000), time.Second
				cfg.Integrations[0].Budget = time.Second
			})
			held, err := r.limiter.acquireBody(context.Background(), "lobby", "", time.Now().Add(patience), -1)
			if err != nil {
				t.Fatal(err)
			}
			if w := r.post(path, checkedIn); w.Code != want {
				t.Errorf("%d, want %d", w.Code, want)
			}
			held.Release()
			if w := r.post(path, checkedIn); w.Code != 200 {
				t.Errorf("%d once there was room", w.Code)
			}
		})
	}
}

func TestAChunkedBodyIsLimitedToo(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.Body = 1000 })
	long := `{"event":"signin_after","data":{"company":"` + strings.Repeat("x", 2000) + `"}}`
	for body, want := range map[string]int{checkedIn: 200, long: 413} {
		w := r.post("/sine/lobby/check-in-success", body, func(req *http.Request) { req.ContentLength = -1 })
		if w.Code != want {
			t.Errorf("%d bytes: %d, want %d", len(body), w.Code, want)
		}
	}
}

func TestSmallChunkedBodiesHoldLittleMemory(t *testing.T) {
	r := newRig(t, func(cfg *Config) {
		cfg.Limits.Body, cfg.Limits.BodyMemory = 1000, 3*BodyCost(int64(len(checkedIn)))+BodyCost(1000)
	})
	publishing, proceed := make(chan struct{}), make(chan struct{})
	r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
		publishing <- struct{}{}
		<-proceed
		return visit.Receipt{}, nil
	}
	chunked := func(req *http.Request) { req.ContentLength = -1 }
	var events sync.WaitGroup
	for range 3 {
		events.Go(func() { r.post("/sine/lobby", checkedIn, chunked) })
		<-publishing
	}
	if w := r.post("/sine/lobby", checkInBody, chunked); !strings.Contains(w.Body.String(), "Welcome") {
		t.Errorf("the door was held up: %s", w.Body)
	}
	close(proceed)
	events.Wait()
}
