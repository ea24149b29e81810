package relay

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

// bodiesOf are events of about a length, by what they consist of.
func bodiesOf(length int) map[string]string {
	const head = `{"event":"signin_after","data":{"firstName":"Ada","lastName":"L","formResponses":{"responses":[`
	answer := func(value string) string { return head + `{"label":"Notes","value":"` + value + `"}]}}}` }
	small := `{"label":"Do you carry anything?","value":"A laptop, and a bag of tools"},`
	return map[string]string{
		"what is not understood": `{"event":"signin_after","data":{"firstName":"Ada","lastName":"L"},"other":"` + strings.Repeat("x", length) + `"}`,
		"one long answer":        answer(strings.Repeat("x", length)),
		"many answers":           head + strings.TrimSuffix(strings.Repeat(small, length/len(small)), ",") + `]}}}`,
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
		cfg.Limits.StoreBudget, cfg.Limits.WriteTimeout = patience, 3*patience
		cfg.Integrations[0].Budget = patience
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
func TestABodyCostsNoMoreThanItCounts(t *testing.T) {
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
