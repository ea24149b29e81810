package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func TestReply_InvalidDecisionIsABadReply(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	nc := s.Connect()
	for name, c := range map[string]struct {
		reply nats.Msg
		want  string
	}{
		"not JSON": {nats.Msg{Data: []byte("Zmark")}, "not a JSON object"},
		"nothing":  {nats.Msg{}, "not a JSON object"},

		"over size":                     {nats.Msg{Data: []byte(`{"decision":"accept","visitorText":"` + strings.Repeat("Zmark", 20000) + `"}`)}, "at most 16384"},
		"an error of the micro service": {nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"503"}, "Nats-Service-Error": {"Zmark"}}, Data: []byte(`{"decision":"accept"}`)}, "reports error 503"},
		"an error without a number":     {nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"Zmark"}}}, "reports an error"},
	} {
		t.Run(name, func(t *testing.T) {
			sub, err := nc.Subscribe("visitors.v1.ask.>", func(m *nats.Msg) {
				reply := c.reply
				m.RespondMsg(&reply)
			})
			if err != nil || nc.Flush() != nil {
				t.Fatal(err)
			}
			defer nc.Flush()
			defer sub.Unsubscribe()
			_, err = b.Ask(within(t, patience), question())
			if !errors.Is(err, visit.ErrBadReply) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if strings.Contains(err.Error(), "Zmark") {
				t.Errorf("the error quotes the reply: %v", err)
			}
		})
	}
}

func TestTrap_ALateReplyVanishesWithoutATrace(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
	questions := make(chan *nats.Msg, 1)
	decide(t, s.Connect(), func(m *nats.Msg) { questions <- m })
	if _, err := b.Ask(within(t, time.Second), question()); !errors.Is(err, visit.ErrTimeout) {
		t.Fatal(err)
	}
	if n := sample(t, reg, "sine_relay_decider_late_replies_total"); n != 0 {
		t.Errorf("%v late replies before any", n)
	}
	if err := wait.Receive(t, "the question", questions).Respond([]byte(`{"decision":"accept"}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the late reply is counted", func() bool {
		return sample(t, reg, "sine_relay_decider_late_replies_total") == 1
	})
}
