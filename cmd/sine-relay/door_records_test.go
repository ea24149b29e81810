package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/visit"
)

// record is a record of a decision as it is stored.
type record struct {
	visit.Record
	message jetstream.RawStreamMsg
}

// records waits until there are n records of decisions, and returns them by the
// id of the request. There must be one for each.
func records(t *testing.T, js jetstream.JetStream, n int) map[string]record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var state jetstream.StreamState
	var stream jetstream.Stream
	eventually(t, fmt.Sprintf("there are %d records", n), func() bool {
		var err error
		if stream, err = js.Stream(ctx, "VISITOR_DECISIONS"); err == nil {
			state = stream.CachedInfo().State
		}
		return state.Msgs >= uint64(n)
	})
	all := map[string]record{}
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		m, err := stream.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		r := record{message: *m}
		if err := json.Unmarshal(m.Data, &r.Record); err != nil {
			t.Fatal(err)
		}
		if _, twice := all[r.RequestID]; twice {
			t.Errorf("two records of %s", r.RequestID)
		}
		all[r.RequestID] = r
	}
	if len(all) != n {
		t.Errorf("%d records, want %d", len(all), n)
	}
	return all
}

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
