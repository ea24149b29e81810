package relay

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// twoLobbies adds a second integration, whose key is the same.
func twoLobbies(cfg *Config) {
	cfg.Integrations = append(cfg.Integrations, Integration{Name: "dock", Site: "port", Keys: []Key{NewKey("first", testKey)}})
	for i := range cfg.Integrations {
		cfg.Integrations[i].Budget = timeout
	}
	cfg.Limits.StoreBudget, cfg.Limits.ReadTimeout, cfg.Limits.WriteTimeout = timeout, timeout, 3*timeout
}

// stalled is a body that does not come until it is let go.
type stalled struct {
	begun *atomic.Int64
	free  <-chan struct{}
}

func (s stalled) Read([]byte) (int, error) {
	s.begun.Add(1)
	<-s.free
	return 0, io.ErrUnexpectedEOF
}

// 300 bodies of one lobby that do not arrive leave room for the events of another.
func TestShares_SlowBodiesOfOneIntegrationLeaveRoomToTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLobbies)
	var begun atomic.Int64
	free := make(chan struct{})
	var slow sync.WaitGroup
	for range 300 {
		slow.Go(func() {
			r.post("/sine/lobby", "", func(req *http.Request) {
				req.Body, req.ContentLength = io.NopCloser(stalled{&begun, free}), testLimits.Body
			})
		})
	}
	defer slow.Wait()
	defer close(free)
	share := r.limiter.eventBodies.Capacity() * 15 / 32 // half of what is not set apart for the other
	eventually(t, "the lobby has all that it gets", func() bool {
		return begun.Load() > 0 && r.limiter.bodies.Taken() > share-BodyCost(testLimits.Body)
	})
	other := make(chan int)
	for range 20 {
		go func() { other <- r.post("/sine/dock", checkedIn).Code }()
	}
	for range 20 {
		if code := <-other; code != http.StatusOK {
			t.Errorf("the other lobby's event was answered %d", code)
		}
	}
	if taken := r.limiter.bodies.Taken(); taken > share+BodyCost(testLimits.Body) {
		t.Errorf("the slow bodies hold %d of %d", taken, testLimits.BodyMemory)
	}
}

// 700 calls to a decider that does not reply leave every visitor elsewhere the
// decision of another decider.
func TestShares_VisitorsWhoWaitAtOneIntegrationLeaveRoomToTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLobbies)
	hanging := make(chan struct{})
	var asked atomic.Int64
	r.broker.ask = func(_ context.Context, m visit.Message) (visit.Decision, error) {
		if strings.Contains(m.Subject, ".hq.") {
			asked.Add(1)
			<-hanging
		}
		return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome"}, nil
	}
	const calls = 700
	answers := make(chan string, calls)
	for range calls {
		go func() { answers <- r.post("/sine/lobby", checkInBody).Body.String() }()
	}
	const share = 240 // of 512 places, of which an eighth is set apart
	for range calls - share {
		if body := <-answers; !strings.Contains(body, "REJECTED") {
			t.Fatalf("beyond the share: %s", body)
		}
	}
	var others sync.WaitGroup
	for range 40 {
		others.Go(func() {
			if w := r.post("/sine/dock", checkInBody); !strings.Contains(w.Body.String(), "Welcome") {
				t.Errorf("a visitor elsewhere: %s", w.Body)
			}
		})
	}
	others.Wait()
	close(hanging)
	for range share {
		if body := <-answers; !strings.Contains(body, "Welcome") {
			t.Errorf("within the share: %s", body)
		}
	}
	if n := r.results("check_in_request", "overloaded"); n != calls-share || asked.Load() != share {
		t.Errorf("%v overloaded, %d asked", n, asked.Load())
	}
}

// The events of one lobby that wait to be stored do not stand before another's.
func TestShares_WaitingEventsOfOneIntegrationDoNotStandBeforeTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLobbies, func(cfg *Config) { cfg.Limits.Events, cfg.Limits.WaitingEvents = 4, 100 })
	proceed := make(chan struct{})
	r.broker.publish = func(_ context.Context, m visit.Message) (visit.Receipt, error) {
		if strings.Contains(m.Subject, ".hq.") {
			<-proceed
		}
		return visit.Receipt{}, nil
	}
	const sent, waiting = 60, 46 // beyond the 2 that are being stored so many may wait
	codes := make(chan int, sent)
	for range sent {
		go func() { codes <- r.post("/sine/lobby", checkedIn).Code }()
	}
	eventually(t, "many wait", func() bool { return r.limiter.waiting.Taken() >= waiting })
	for range 10 {
		if w := r.post("/sine/dock", checkedIn); w.Code != http.StatusOK {
			t.Errorf("the other lobby's event was answered %d", w.Code)
		}
	}
	close(proceed)
	refused := 0
	for range sent {
		if <-codes != http.StatusOK {
			refused++
		}
	}
	if refused > sent-waiting-2 {
		t.Errorf("%d of the lobby's own were refused", refused)
	}
}

// Whoever is the only one has everything, and a reload tells how many there are.
func TestShares_AReloadSharesAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	alone, ok := r.limiter.checkIns.TryAcquire("lobby", testLimits.CheckInRequests)
	if !ok {
		t.Error("the only integration does not get everything")
	}
	alone.Release()
	two := Config{Integrations: []Integration{{Name: "lobby", Site: "hq", Keys: []Key{NewKey("first", testKey)}}}}
	twoLobbies(&two)
	for i := range two.Integrations {
		two.Integrations[i].Budget = 0
	}
	if err := r.reload(two.Integrations...); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, ok := r.limiter.checkIns.TryAcquire("lobby", 1); ok; _, ok = r.limiter.checkIns.TryAcquire("lobby", 1) {
		got++
	}
	if got < 200 || got > 256 {
		t.Errorf("one of two gets %d of 512", got)
	}
}

// One integration's records of decisions do not take the places of the others'.
func TestShares_RecordsOfOneIntegrationLeavePlacesToTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLobbies)
	taken := 0
	for {
		if _, ok := r.recorder.reserve("lobby"); !ok {
			break
		}
		taken++
	}
	if _, ok := r.recorder.reserve("dock"); !ok || taken < maxRecords/3 || taken > maxRecords/2 {
		t.Errorf("the lobby got %d of %d, another any: %v", taken, maxRecords, ok)
	}
	for range taken + 1 {
		r.recorder.done()
	}
}

// More large events at once than there is memory for wait, whatever the URL says,
// and a visitor is answered meanwhile.
func TestLimiter_LargeEventsWaitForMemory(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/sine/lobby", "/sine/lobby/check-in-success"} {
		t.Run(path, func(t *testing.T) {
			r := newRig(t, twoLobbies, func(cfg *Config) {
				cfg.Integrations = cfg.Integrations[:1]
				cfg.Limits.BodyMemory = 8 * BodyCost(200_000)
			})
			proceed := make(chan struct{})
			var begun atomic.Int64
			r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
				begun.Add(1)
				<-proceed
				return visit.Receipt{}, nil
			}
			large := checkedIn + strings.Repeat(" ", 200_000-len(checkedIn))
			codes := make(chan int, 60)
			for range 60 {
				go func() { codes <- r.post(path, large).Code }()
			}
			eventually(t, "the memory for events is used up", func() bool { return begun.Load() == 6 })
			if w := r.post("/sine/lobby", checkInBody); !strings.Contains(w.Body.String(), "Welcome") {
				t.Errorf("the visitor was answered %s", w.Body)
			}
			close(proceed)
			for range 60 {
				if code := <-codes; code != http.StatusOK {
					t.Errorf("an event that waited was answered %d", code)
				}
			}
			if r.limiter.bodies.Taken() != 0 || r.limiter.eventBodies.Taken() != 0 {
				t.Error("memory is left reserved")
			}
		})
	}
}

// A body without an announced length is read as it is, up to the limit and one
// byte.
func TestReadAll_StopsOneByteBeyondTheLimit(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 1, firstRead - 1, firstRead, firstRead + 1, 100_000, 256 << 10, 1 << 20} {
		body := strings.Repeat("x", length)
		const limit = 256<<10 + 1
		got, err := readAll(strings.NewReader(body), limit)
		if want := body[:min(length, limit)]; err != nil || string(got) != want {
			t.Errorf("%d bytes: read %d, %v", length, len(got), err)
		}
		if cap(got) > limit {
			t.Errorf("%d bytes are held for %d", cap(got), length)
		}
	}
}

// A crowd's events wait for one another where they are stored one after the other:
// none is refused because there is no memory for a moment.
func TestLimiter_OfManyEventsNoneIsRefused(t *testing.T) {
	r := newRig(t, twoLobbies)
	var store sync.Mutex // one at a time
	r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
		store.Lock()
		defer store.Unlock()
		time.Sleep(time.Millisecond)
		return visit.Receipt{}, nil
	}
	body := checkedIn + strings.Repeat(" ", smallBody-len(checkedIn))
	const crowd = 400
	codes := make(chan int, crowd)
	for range crowd {
		go func() { codes <- r.post("/sine/lobby", body).Code }()
	}
	for range crowd {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("answered %d", code)
		}
	}
	if taken := r.limiter.eventBodies.Taken() + r.limiter.bodies.Taken(); taken != 0 {
		t.Errorf("%d bytes stay reserved", taken)
	}
}
