package broker_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// The relay may be back before the deciders are, also in the second half of the time,
// and while the reply to what was sent before may still come.
func TestAsk_ReachesDecidersThatReturnAfterTheRelay(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := startProxy(t, s)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer, c.NATS.Servers = reg, []string{p.url()} })
	before := s.Connect()
	asked := make(chan *nats.Msg, 2)
	decide(t, before, func(m *nats.Msg) { asked <- m })
	result := askWithin(t, b, 8*time.Second)
	for range 2 {
		wait.Receive(t, "the question", asked)
	}
	before.Close()
	p.cut()
	eventually(t, "it is asked again, and nobody is there", func() bool { return again(t, reg, "disconnected") > 0 })
	decide(t, s.Connect(), func(m *nats.Msg) { m.Respond([]byte(`{"decision":"accept"}`)) })
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// Whoever was asked last may have said that it cannot decide.
func TestAsk_AsksAgainWhenTheConnectionDropsAfterABadReply(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := startProxy(t, s)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer, c.NATS.Servers = reg, []string{p.url()} })
	asked := make(chan *nats.Msg, 2)
	decide(t, s.Connect(), func(m *nats.Msg) {
		switch m.Header.Get(visit.HeaderAttempt) {
		case "", "2":
			asked <- m
		default:
			m.Respond([]byte(`{"decision":"accept"}`))
		}
	})
	result := askWithin(t, b, 8*time.Second)
	wait.Receive(t, "the question", asked)
	second := wait.Receive(t, "the second attempt", asked)
	for range 2 { // the second shows that the first has come
		second.Respond([]byte("busy"))
	}
	eventually(t, "the reply has come", func() bool {
		return sample(t, reg, "sine_relay_decider_duplicate_replies_total", "site", "hq", "decider", "watchlist") == 1
	})
	p.cut()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func askWithin(t *testing.T, b *broker.Broker, budget time.Duration) <-chan error {
	result := make(chan error, 1)
	ctx := within(t, budget)
	go func() {
		_, err := b.Ask(ctx, question())
		result <- err
	}()
	return result
}
