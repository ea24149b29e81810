package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/visit"
)

// turnedAway sends many visitors to a relay without NATS, and returns the ids of
// their requests.
func turnedAway(t *testing.T, p *program) (ids []string) {
	t.Helper()
	const senders, each = 16, 10
	var all sync.WaitGroup
	var mu sync.Mutex
	for range senders {
		all.Go(func() {
			for range each {
				got, err := p.calls("default", testKey, webhook("signin_before", noon, "Ada"))
				if err != nil || got.status != http.StatusOK || !strings.Contains(got.body, "no connection") {
					t.Errorf("answered %d %s %v", got.status, got.body, err)
				}
				mu.Lock()
				ids = append(ids, got.id)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return ids
}

// What was answered while NATS was away is recorded once NATS is back, once each,
// also when the next process finds it in the spool.
func TestRecordsSurviveAnOutage(t *testing.T) {
	for _, c := range []struct {
		name string
		next func(*testing.T, *program, []string) *program // what runs when NATS is back
	}{
		{"the same relay stores them", func(_ *testing.T, p *program, _ []string) *program { return p }},
		{"the next relay stores them", func(t *testing.T, p *program, settings []string) *program {
			if code := p.end(); code != exitOK {
				t.Errorf("it ended with %d: %s", code, p.err.String())
			}
			return runServe(t, settings...)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := brokertest.Start(t)
			settings := []string{"NATS_URL=" + s.URL(), "SPOOL_DIR=" + t.TempDir()}
			p := runServe(t, settings...).ready()
			s.Stop()
			ids := turnedAway(t, p)
			manyCallers.CloseIdleConnections()
			p = c.next(t, p, settings)
			s.Restart()
			p.ready()
			eventually(t, "the spool is empty", func() bool { return len(p.counted("sine_relay_spool_messages")) == 0 })
			stored := records(t, s.JetStream(), len(ids))
			for _, id := range ids {
				r, found := stored[id]
				if !found || r.Situation != "disconnected" || r.Verdict != visit.Reject || !r.Fallback || len(r.Votes) != 1 || r.Votes[0].Situation != "disconnected" {
					t.Errorf("the record of %s: %+v", id, r.Record)
				}
			}
		})
	}
}
