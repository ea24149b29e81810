package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// Whoever knows a reply subject may answer for somebody else: it is in no log, metric,
// answer, record or stream, whatever comes over it.
func TestReplySubjectsAreNowhereToBeRead(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	tokens := hearReplies(t, server)
	p := runServe(t, "NATS_URL="+server.URL(), "LOG_LEVEL=debug", "DECISION_BUDGET=1s").ready()
	nc := server.Connect()
	answer := make(chan []string, 1)
	_, err := nc.Subscribe("visitors.v1.ask.default.default", func(m *nats.Msg) {
		for _, reply := range <-answer {
			if reply == "late" {
				time.Sleep(1500 * time.Millisecond)
				reply = `{"decision":"accept"}`
			}
			if reply == "error" {
				_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {m.Reply}, "Nats-Service-Error": {m.Reply}}, Data: []byte(m.Reply)})
				continue
			}
			_ = m.Respond([]byte(strings.ReplaceAll(reply, "REPLY", m.Reply)))
		}
	})
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	for _, replies := range [][]string{
		{`{"decision":"accept"}`}, {`{"decision":"reject"}`, `{"decision":"accept"}`}, {"not JSON REPLY"}, {`{"decision":"REPLY"}`},
		{`{"decision":1,"x":"REPLY"}`}, {"error"}, {"late"}, {`{"stream":"REPLY","seq":1}`}, {""},
	} {
		answer <- replies
		p.post(webhook("signin_before", noon, "Ada"))
	}
	p.must(200, "", webhook("signin_after", noon, "Ada"))
	p.post("unreadable")
	eventually(t, "all is stored", func() bool {
		for stream, n := range map[string]uint64{visit.DefaultEventStream: 1, visit.DefaultDecisionStream: 9, visit.DefaultQuarantineStream: 1} {
			found, err := server.JetStream().Stream(t.Context(), stream)
			if err != nil || found.CachedInfo().State.Msgs < n {
				return false
			}
		}
		return true
	})
	stats, err := nc.Request("$SRV.STATS.sine-relay", nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	_, metrics := p.get("/metrics")
	_, readiness := p.get("/readyz?verbose")
	places := map[string]string{
		"the log": p.out.String() + p.err.String(), "the metrics": metrics, "the readiness": readiness, "the status": string(stats.Data),
	}
	for _, stream := range []string{visit.DefaultEventStream, visit.DefaultDecisionStream, visit.DefaultQuarantineStream} {
		places[stream] = contents(t, server, stream)
	}
	found := tokens()
	if len(found) < 20 {
		t.Fatalf("only %d reply subjects were seen", len(found))
	}
	for place, text := range places {
		for _, token := range found {
			if strings.Contains(text, token) {
				t.Errorf("%s has a part of a reply subject, %s:\n%.2000s", place, token, text)
				break
			}
		}
	}
}

// hearReplies collects the parts of the relay's reply subjects that are chance.
func hearReplies(t *testing.T, server *natstest.Server) (tokens func() []string) {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]bool{}
	nc := server.Connect()
	_, err := nc.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		for _, subject := range []string{m.Subject, m.Reply} {
			if rest, ok := strings.CutPrefix(subject, "_INBOX_SINE_RELAY."); ok {
				for part := range strings.SplitSeq(rest, ".") {
					seen[part] = len(part) > 15
				}
			}
		}
	})
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	return func() (all []string) {
		mu.Lock()
		defer mu.Unlock()
		for part, chance := range seen {
			if chance {
				all = append(all, part)
			}
		}
		return all
	}
}

// contents is everything that a stream has, headers included.
func contents(t *testing.T, server *natstest.Server, name string) string {
	t.Helper()
	stream, err := server.JetStream().Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for sequence := range stream.CachedInfo().State.LastSeq {
		if m, err := stream.GetMsg(t.Context(), sequence+1); err == nil {
			fmt.Fprintln(&all, m.Subject, m.Header, string(m.Data))
		}
	}
	return all.String()
}
