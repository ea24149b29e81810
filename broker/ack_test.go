package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestTrap_OurOwnRetryIsNoDuplicate(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := startProxy(t, s)
	b := ready(t, s, func(c *broker.Config) { c.NATS.Servers = []string{p.url()} })
	p.swallow(`{"stream":"VISITORS"`)
	receipt, err := b.Publish(within(t, patience), event("1"))
	if err != nil || receipt.Duplicate || receipt.Sequence != 1 {
		t.Errorf("%+v, %v", receipt, err)
	}
	if !p.swallowed() {
		t.Error("no acknowledgement was swallowed")
	}
	receipt, err = b.Publish(within(t, patience), event("1"))
	if err != nil || !receipt.Duplicate {
		t.Errorf("another call: %+v, %v", receipt, err)
	}
	if n := stored(t, s); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

// An acknowledgement that takes longer than the pause between two tries still
// counts; forgetting it would refuse for ever what is stored each time.
func TestTrap_ASlowAcknowledgementStillCounts(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	nc := s.Connect()
	// It stands in for a stream, and acknowledges the first try after the second.
	var tries []*nats.Msg
	stream := func(m *nats.Msg) {
		if tries = append(tries, m); len(tries) == 2 {
			tries[0].Respond([]byte(`{"stream":"SLOW","seq":7}`))
		}
	}
	if _, err := nc.Subscribe("slow.v1.event.>", stream); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	b := connectTo(t, s, func(c *broker.Config) {
		c.Streams.Subjects = visit.Subjects{Prefix: "acme"}
		c.Streams.Events.Name = "SLOW"
	})
	awaitReady(t, b)
	m := event("1")
	m.Subject = "slow.v1.event.hq.checked_in"
	receipt, err := b.Publish(within(t, patience), m)
	if err != nil || receipt.Sequence != 7 || receipt.Duplicate {
		t.Errorf("%+v, %v", receipt, err)
	}
}

func TestPublish_IgnoresRepliesThatAreNoAcknowledgement(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	nc := s.Connect()
	for _, answer := range []string{"", "thanks", `{"stream":"OTHERS","seq":1}`, `{"stream":"VISITORS"}`} {
		sub, err := nc.Subscribe("nobody.v1.event.>", func(m *nats.Msg) { m.Respond([]byte(answer)) })
		if err != nil || nc.Flush() != nil {
			t.Fatal(err)
		}
		m := event("1")
		m.Subject = "nobody.v1.event.hq.checked_in"
		if _, err := b.Publish(within(t, 50*time.Millisecond), m); !errors.Is(err, visit.ErrTimeout) {
			t.Errorf("%q: %v", answer, err)
		}
		sub.Unsubscribe()
	}
}
