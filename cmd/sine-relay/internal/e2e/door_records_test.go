package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
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

// outage is what visitors were told while NATS went away: the situation by the id
// of the request.
type outage struct {
	mu         sync.Mutex
	situations map[string]string
}

func (o *outage) note(id, situation string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.situations[id] = situation
}

func (o *outage) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.situations)
}

// throughAnOutage has senders call while NATS stops, and on until each was turned
// away ten times for the want of it.
func throughAnOutage(t *testing.T, p *program, s *natstest.Server) map[string]string {
	t.Helper()
	const senders, times = 16, 10
	told := outage{situations: map[string]string{}}
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for away := 0; away < times; {
				got, err := p.calls("default", testKey, webhook("signin_before", noon, "Ada"))
				switch {
				case err == nil && strings.Contains(got.body, "no connection"):
					away++
					told.note(got.id, "disconnected")
				case err == nil && strings.Contains(got.body, "no decider answers"):
					told.note(got.id, "no_decider")
				default:
					t.Errorf("answered %d %s %v", got.status, got.body, err)
					return
				}
			}
		})
	}
	eventually(t, "some load", func() bool { return told.len() > 10*senders })
	s.Stop()
	all.Wait()
	return told.situations
}

// What was answered while NATS went away and was away is recorded once NATS is
// back, once each, also when the next process finds it in the spool.
func TestRecordsSurviveAnOutage(t *testing.T) {
	t.Parallel()
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
			s := natstest.Start(t)
			settings := []string{"NATS_URL=" + s.URL(), "SPOOL_DIR=" + t.TempDir()}
			p := runServe(t, settings...).ready()
			told := throughAnOutage(t, p, s)
			p = c.next(t, p, settings)
			s.Restart()
			p.ready()
			eventually(t, "the spool is empty", func() bool { return len(p.counted("sine_relay_spool_messages")) == 0 })
			stored := records(t, s.JetStream(), len(told))
			for id, situation := range told {
				r, found := stored[id]
				if !found || r.Situation != situation || r.Verdict != visit.Reject || !r.Fallback || len(r.Votes) != 1 || r.Votes[0].Situation != situation {
					t.Errorf("the record of %s, %s: %+v", id, situation, r.Record)
				}
			}
			t.Logf("%d visitors, %d records", len(told), len(stored))
		})
	}
}
