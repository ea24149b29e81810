package relay

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestLimiter_BeyondTheCapVisitorsGetTheFallbackAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) { cfg.Limits.CheckInRequests = 1 })
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
	if r.results("check_in_request", "overloaded") != 1 {
		t.Error("not counted as overloaded")
	}
	if w := r.post("/sine/lobby", checkedIn); w.Code != 200 || r.settledAs(resultStored) != 1 {
		t.Errorf("an event was held up by waiting visitors: %d", w.Code)
	}
	close(proceed)
	if code := <-first; code != 200 {
		t.Errorf("the first visitor got %d", code)
	}
}

func TestLimiter_EventsBeyondTheirCapWait(t *testing.T) {
	r := newRig(t, func(cfg *Config) {
		cfg.Limits.Events, cfg.Limits.WaitingEvents = 1, 2
		cfg.Limits.StoreBudget = timeout / 2
		cfg.Limits.WriteTimeout = 2 * timeout
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

func TestLimiter_AnEventWaitsNoLongerThanItsBudget(t *testing.T) {
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
func TestLimiter_WaitingEventsLeaveMemoryToCheckInRequests(t *testing.T) {
	t.Parallel()
	const events, room = 40, 20 // so many are sent, and so many would fill the memory
	r := newRig(t, func(cfg *Config) {
		cfg.Limits.Body, cfg.Limits.BodyMemory = int64(len(checkInBody)), room*BodyCost(int64(len(checkedIn)))
		cfg.Limits.Events, cfg.Limits.StoreBudget, cfg.Limits.WriteTimeout = 2, timeout, 2*timeout
		cfg.Integrations[0].Budget = timeout
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
	case <-time.After(timeout / 2):
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

func TestLimiter_WithoutMemoryForABody(t *testing.T) {
	t.Parallel()
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
			held, err := r.limiter.acquireBody(context.Background(), "lobby", "", time.Now().Add(timeout), -1)
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

func TestLimiter_AChunkedBodyIsLimitedToo(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) { cfg.Limits.Body = 1000 })
	long := `{"event":"signin_after","data":{"company":"` + strings.Repeat("x", 2000) + `"}}`
	for body, want := range map[string]int{checkedIn: 200, long: 413} {
		w := r.post("/sine/lobby/check-in-success", body, func(req *http.Request) { req.ContentLength = -1 })
		if w.Code != want {
			t.Errorf("%d bytes: %d, want %d", len(body), w.Code, want)
		}
	}
}

func TestLimiter_SmallChunkedBodiesHoldLittleMemory(t *testing.T) {
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

// bodiesOf are events of about a length, by what they consist of.
func bodiesOf(length int) map[string]string {
	const head = `{"event":"signin_after","data":{"firstName":"Ada","lastName":"L","formResponses":{"responses":[`
	answer := func(value string) string { return head + `{"label":"Notes","value":"` + value + `"}]}}}` }
	small := `{"label":"Do you carry anything?","value":"A laptop, and a bag of tools"},`
	return map[string]string{
		"what is not understood": `{"event":"signin_after","data":{"firstName":"Ada","lastName":"L"},"other":"` + strings.Repeat("x", length) + `"}`,
		"one long answer":        answer(strings.Repeat("x", length)),
		"many answers":           head + strings.TrimSuffix(strings.Repeat(small, length/len(small)), ",") + `]}}}`,
		"pairs":                  head + strings.TrimSuffix(strings.Repeat(`["a",1],`, length/8), ",") + `]}}}`,
		"answers by questions":   `{"event":"signin_after","data":{"firstName":"Ada","lastName":"L","answers":{` + strings.TrimSuffix(strings.Repeat(`"a":1,`, length/6), ",") + `}}}`,
		"escaped characters":     answer(strings.Repeat(`\"`, length/2)),
		"what is escaped by us":  answer(strings.Repeat("\u2028", length/3)),
		"blanks":                 head + strings.Repeat(" ", length) + `]}}}`,
	}
}

// heldBy is the memory that each of so many calls holds while it waits for
// somebody, once the collector has taken the rest.
func heldBy(t *testing.T, calls int, body, path string) int64 {
	t.Helper()
	r := newRig(t, func(cfg *Config) {
		cfg.Limits.BodyMemory, cfg.Limits.Body = 1<<40, 1<<20
		cfg.Limits.StoreBudget, cfg.Limits.WriteTimeout = timeout, 3*timeout
		cfg.Integrations[0].Budget = timeout
	})
	r.post(path, body) // whatever is made at first
	var arrived sync.WaitGroup
	arrived.Add(calls)
	proceed := make(chan struct{})
	publishers := make(chan visit.Message, calls)
	r.broker.publish = func(_ context.Context, m visit.Message) (visit.Receipt, error) {
		r.broker.mu.Lock()
		r.broker.published = nil // the fake's own
		r.broker.mu.Unlock()
		publishers <- m // as the broker keeps it, to send it again
		arrived.Done()
		<-proceed
		return visit.Receipt{}, nil
	}
	r.broker.ask = func(_ context.Context, m visit.Message) (visit.Decision, error) {
		r.broker.mu.Lock()
		r.broker.asked = nil
		r.broker.mu.Unlock()
		publishers <- m
		arrived.Done()
		<-proceed
		return visit.Decision{Verdict: visit.Accept}, nil
	}
	var all sync.WaitGroup
	before := inUse()
	for range calls {
		all.Go(func() { r.post(path, body) })
	}
	arrived.Wait()
	each := (inUse() - before) / int64(calls)
	close(proceed)
	all.Wait()
	runtime.KeepAlive(publishers)
	return each
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// A call counts as what it holds, whatever its body consists of.
func TestBodyCost_IsNoMoreThanABodyCounts(t *testing.T) {
	for _, length := range []int{200, 200_000} {
		for name, body := range bodiesOf(length) {
			for _, path := range []string{"/sine/lobby/check-in-success", "/sine/lobby/check-in-request"} {
				t.Run(fmt.Sprint(length, " bytes, ", name, ", ", path), func(t *testing.T) {
					held := heldBy(t, 32, body, path)
					t.Logf("%d bytes: %.1f times", held, float64(held)/float64(len(body)))
					if counts := BodyCost(int64(len(body))); held > counts {
						t.Errorf("holds %d bytes and counts as %d", held, counts)
					}
				})
			}
		}
	}
}
