package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
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

// outage is what visitors were answered while NATS went away: the situation by the id
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
	answered := outage{situations: map[string]string{}}
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for away := 0; away < times; {
				got, err := p.calls("default", testKey, webhook("signin_before", noon, "Ada"))
				switch {
				case err == nil && strings.Contains(got.body, "no connection"):
					away++
					answered.note(got.id, "disconnected")
				case err == nil && strings.Contains(got.body, "no decider answers"):
					answered.note(got.id, "no_decider")
				default:
					t.Errorf("answered %d %s %v", got.status, got.body, err)
					return
				}
			}
		})
	}
	eventually(t, "some load", func() bool { return answered.len() > 10*senders })
	s.Stop()
	all.Wait()
	return answered.situations
}

// What was answered while NATS went away and was away is recorded once NATS is
// back, once each, also when the next process finds it in the spool.
func TestRecords_SurviveAnOutage(t *testing.T) {
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
			answered := throughAnOutage(t, p, s)
			p = c.next(t, p, settings)
			s.Restart()
			p.ready()
			eventually(t, "the spool is empty", func() bool { return len(p.counted("sine_relay_spool_messages")) == 0 })
			stored := records(t, s.JetStream(), len(answered))
			for id, situation := range answered {
				r, found := stored[id]
				if !found || r.Situation != situation || r.Verdict != visit.Reject || !r.Fallback || len(r.Votes) != 1 || r.Votes[0].Situation != situation {
					t.Errorf("the record of %s, %s: %+v", id, situation, r.Record)
				}
			}
			t.Logf("%d visitors, %d records", len(answered), len(stored))
		})
	}
}

// What a decider sends reaches Sine only where it means the same to every reader,
// and a rejection that can be read is never taken for anything else. Here whatever
// is no decision lets visitors in.
func TestDecision_IsCheckedBeforeSineGetsIt(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "integrations.yaml")
	if err := os.WriteFile(file, []byte("integrations:\n- name: lobby\n  site: default\n  fallbacks: {bad_reply: {decision: accept, adminNote: fallback}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keys, "lobby"), []byte(testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL(), "INTEGRATIONS_FILE="+file, "KEYS_DIR="+keys).ready()
	p.webhook = strings.Replace(p.webhook, "/default", "/lobby", 1)
	decider := server.Connect()
	var reply atomic.Pointer[nats.Msg]
	if _, err := decider.Subscribe("visitors.v1.ask.default.default", func(m *nats.Msg) {
		r := reply.Load()
		m.RespondMsg(&nats.Msg{Data: r.Data, Header: r.Header})
	}); err != nil {
		t.Fatal(err)
	}
	if err := decider.Flush(); err != nil {
		t.Fatal(err)
	}
	const fallback = `{"adminNotes":"fallback","code":"SUCCESS"}`
	for _, c := range []struct{ name, reply, want string }{
		{"an acceptance", `{"decision":"accept","visitorText":"Hi","pass":{"zone":"B"}}`, `{"code":"SUCCESS","visitorNotes":"Hi","zone":"B"}`},
		{"two names that differ in case only", `{"decision":"accept","pass":{"CODE":"REJECTED","Code":1}}`, fallback},
		{"names of the template in other letters", `{"decision":"accept","pass":{"CODE":"REJECTED","adminnotes":"x","zone":"B"}}`, `{"code":"SUCCESS","zone":"B"}`},
		{"no UTF-8", "{\"decision\":\"accept\",\"visitorText\":\"\xff\"}", fallback},
		{"too deep", `{"decision":"accept","pass":{"a":` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `}}`, fallback},
		{"too large", `{"decision":"accept","pass":{"a":"` + strings.Repeat("x", 20<<10) + `"}}`, fallback},
		{"a name twice", `{"decision":"accept","pass":{"a":{"b":1,"b":2}}}`, fallback},
		{"what a screen would obey", `{"decision":"accept","visitorText":"a\u001b[2J\u202eb\nc","pass":{"zone":"\u0000B"}}`, `{"code":"SUCCESS","visitorNotes":"a[2Jb\nc","zone":"B"}`},
		{"half a surrogate pair", `{"decision":"accept","pass":{"zone":"\ud800"}}`, `{"code":"SUCCESS","zone":"` + "\ufffd" + `"}`},
		{"a rejection", `{"decision":"reject","visitorText":"No"}`, `{"code":"REJECTED","message":"No","visitorNotes":"No"}`},
		{"a rejection with a text of another type", `{"decision":"reject","visitorText":[],"adminNote":"n"}`, `"code":"REJECTED","message":"Please see reception.`},
		{"a rejection with a blank text", `{"decision":"reject","visitorText":" "}`, `"code":"REJECTED","message":"Please see reception.`},
		{"a rejection that is no UTF-8", "{\"decision\":\"reject\",\"adminNote\":\"\xff\",\"visitorText\":\"No\"}", `"code":"REJECTED","message":"No"`},
		{"a rejection beside an acceptance", `{"decision":"accept","Decision":"reject","visitorText":"No"}`, `"code":"REJECTED","message":"No"`},
		{"a rejection that is too large", `{"decision":"reject","visitorText":"No","pass":{"a":"` + strings.Repeat("x", 200<<10) + `"}}`, `"code":"REJECTED","message":"No"`},
		{"half a rejection", `{"decision":"reject","visitorText":"No"`, `"code":"REJECTED","message":"No"`},
	} {
		reply.Store(&nats.Msg{Data: []byte(c.reply)})
		code, body, err := p.post(webhook("signin_before", noon, "Ada"))
		if err != nil || code != http.StatusOK || !strings.Contains(body, c.want) || !json.Valid([]byte(body)) {
			t.Errorf("%s: answered %d %s %v, want %s", c.name, code, body, err, c.want)
		}
	}
	failed := nats.Header{"Nats-Service-Error-Code": {"500"}}
	reply.Store(&nats.Msg{Data: []byte(`{"decision":"reject","visitorText":"No"}`), Header: failed})
	p.must(200, `"code":"REJECTED","message":"No"`, webhook("signin_before", noon, "Ada"))
	reply.Store(&nats.Msg{Data: []byte(`{"decision":"accept","visitorText":"Hi"}`), Header: failed})
	p.must(200, fallback, webhook("signin_before", noon, "Ada"))
}
