package broker_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

const ignoredReplies = "sine_relay_ignored_replies_total"

// A stream acknowledges before any decider can decide. One that is full says so
// instead.
func TestReply_AcknowledgementIsNoDecision(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream jetstream.StreamConfig
		// allowed is whether the relay may look for such streams.
		allowed bool
	}{
		"one that stores":      {jetstream.StreamConfig{Name: "AUDIT"}, true},
		"one that is full":     {jetstream.StreamConfig{Name: "AUDIT", MaxMsgs: 1, Discard: jetstream.DiscardNew}, true},
		"one that is not seen": {jetstream.StreamConfig{Name: "AUDIT"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			permissions := &server.Permissions{}
			if !c.allowed {
				permissions.Publish = &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.NAMES"}}
			}
			s := natstest.Start(t, withUser(permissions))
			reg, log := prometheus.NewRegistry(), &logtest.Buffer{}
			b := ready(t, s, asRelay, func(c *broker.Config) {
				c.Registerer, c.Logger = reg, slog.New(slog.NewTextHandler(log, nil))
			})
			c.stream.Subjects = []string{"visitors.v1.ask.>"}
			if _, err := s.JetStream(asTeam).CreateStream(within(t, patience), c.stream); err != nil {
				t.Fatal(err)
			}
			decide(t, s.Connect(asTeam), func(m *nats.Msg) {
				// By the time that a reply to the server comes back, the stream's is there.
				eventually(t, "the stream's reply is counted", func() bool {
					return sample(t, reg, ignoredReplies, "reason", "acknowledgement") > 0
				})
				m.Respond([]byte(`{"decision":"accept"}`))
			})
			const visitors = 20
			for range visitors {
				if d, err := b.Ask(within(t, patience), question()); err != nil || d.Verdict != visit.Accept {
					t.Fatalf("%+v, %v", d, err)
				}
			}
			eventually(t, "every reply of the stream is counted", func() bool {
				return sample(t, reg, ignoredReplies, "reason", "acknowledgement") == visitors
			})
			for _, of := range []string{"sine_relay_decider_late_replies_total", "sine_relay_decider_duplicate_replies_total"} {
				if n := sample(t, reg, of); n != 0 {
					t.Errorf("%s is %v", of, n)
				}
			}
			text := log.String()
			if n := strings.Count(text, "ignored the acknowledgement of a check-in request by a stream"); n != 1 || !strings.Contains(text, "stream=AUDIT site=hq decider=watchlist") {
				t.Errorf("logged %d times within a minute:\n%s", n, text)
			}
			if err := b.Status().Impaired; err == nil || !strings.Contains(err.Error(), "stream AUDIT") || !strings.Contains(err.Error(), question().Subject) {
				t.Errorf("the status says %v", err)
			}
			if c.allowed {
				awaitFault(t, b, "AUDIT: its subjects must not overlap visitors.v1.ask.>")
			}
		})
	}
}

// What is called a stream is whatever the reply says.
func TestReply_InvalidStreamNameIsNotQuoted(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	log := &logtest.Buffer{}
	b := ready(t, s, func(c *broker.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	decide(t, s.Connect(), func(m *nats.Msg) {
		m.Respond([]byte(`{"stream":"Zmark was here","seq":7}`))
		m.Respond([]byte(`{"decision":"reject"}`))
	})
	if d, err := b.Ask(within(t, patience), question()); err != nil || d.Verdict != visit.Reject {
		t.Errorf("%+v, %v", d, err)
	}
	if strings.Contains(log.String()+b.Status().Impaired.Error(), "Zmark") {
		t.Errorf("the name is quoted: %v\n%s", b.Status().Impaired, log.String())
	}
}

// Whoever listens to events and replies to what it hears is faster than the stream.
func TestReply_ToAnEventWithoutAcknowledgementIsIgnored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg, log := prometheus.NewRegistry(), &logtest.Buffer{}
	b := ready(t, s, func(c *broker.Config) { c.Registerer, c.Logger = reg, slog.New(slog.NewTextHandler(log, nil)) })
	nc := s.Connect()
	if _, err := nc.Subscribe("visitors.v1.event.>", func(m *nats.Msg) { m.Respond([]byte("thanks, Zmark")) }); err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	const events = 20
	for i := range events {
		if receipt, err := b.Publish(within(t, patience), event(string(rune('a'+i)))); err != nil || receipt.Sequence != uint64(i+1) || receipt.Duplicate {
			t.Fatalf("%+v, %v", receipt, err)
		}
	}
	eventually(t, "every one is counted", func() bool {
		return sample(t, reg, ignoredReplies, "reason", "no_acknowledgement") == events
	})
	if n := sample(t, reg, "sine_relay_duplicate_acknowledgements_total"); n != 0 {
		t.Errorf("%v are taken for acknowledgements", n)
	}
	text := log.String()
	if n := strings.Count(text, "ignored a reply that is not the acknowledgement of a stream"); n != 1 || strings.Contains(text, "Zmark") {
		t.Errorf("logged %d times:\n%s", n, text)
	}
}
