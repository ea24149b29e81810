package desk

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// viewers open pages that are kept up to date, and count what they are sent.
func (f *fixture) viewers(t testing.TB, ctx context.Context, n int) *atomic.Int64 {
	t.Helper()
	updates := &atomic.Int64{}
	var open sync.WaitGroup
	for i := range n {
		path, who := "/events?of=live", "otto"
		if i%2 == 0 {
			path, who = "/events?of=doors", []string{"vera", "rita"}[i/2%2]
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-User", fmt.Sprint(who, i/10)) // one user may have only some pages
		req.Header.Set("X-Groups", people[who])
		open.Go(func() {
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			for r := bufio.NewReader(resp.Body); ; updates.Add(1) {
				if _, err := r.ReadSlice('\n'); err != nil && err != bufio.ErrBufferFull {
					return
				}
			}
		})
	}
	t.Cleanup(open.Wait)
	return updates
}

// following is a broker whose happenings a test sends.
func following(b *fakeBroker) (happen func(n int)) {
	var record func(visit.Record)
	var event func(visit.Event)
	ready := make(chan struct{})
	b.follow = func(r func(visit.Record), e func(visit.Event), state func(error)) {
		record, event = r, e
		state(nil)
		close(ready)
	}
	return func(n int) {
		<-ready
		r, e := b.records[n%len(b.records)], b.events[n%len(b.events)]
		r.RequestID, r.Received, e.Received = visit.NewRequestID(), time.Now(), time.Now()
		record(r)
		event(e)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMemory_DoesNotGrowWithWhatHappens(t *testing.T) {
	b := stored()
	happen := following(b)
	f := newFixture(t, b)
	f.read(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	updates := f.viewers(t, ctx, 20)
	wait.Until(t, "all pages are open", func() bool { return f.streams.Viewers() == 20 })
	feed := func() {
		for n := range 20_000 {
			happen(n)
		}
		seen := updates.Load()
		wait.Until(t, "the pages are brought up to date", func() bool { return updates.Load() > seen+100 })
	}
	feed()
	before := liveHeap()
	feed()
	if after := liveHeap(); after > before+8<<20 {
		t.Errorf("the heap grew from %d KiB to %d KiB", before>>10, after>>10)
	}
}

// BenchmarkViewers has 50 pages open while 250 visitors a second come, each with a
// check-in request and a check-in. The pages' clients are in the same process.
func BenchmarkViewers_50AtFiveHundredEventsASecond(b *testing.B) {
	broker := stored()
	happen := following(broker)
	f := newFixture(b, broker)
	f.read(b)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	updates := f.viewers(b, ctx, 50)
	wait.Until(b, "all pages are open", func() bool { return f.streams.Viewers() == 50 })
	start, n := time.Now(), 0
	for b.Loop() {
		<-time.After(time.Until(start.Add(time.Duration(n) * 4 * time.Millisecond)))
		happen(n)
		n++
	}
	b.ReportMetric(2*float64(n)/time.Since(start).Seconds(), "events/s")
	b.ReportMetric(float64(liveHeap())/(1<<20), "heap-MiB")
	b.ReportMetric(float64(updates.Load())/b.Elapsed().Seconds(), "lines/s")
}
