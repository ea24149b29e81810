package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/visit"
)

// cannotCreate is a relay that finds streams and creates none.
var cannotCreate = withUser(&server.Permissions{
	Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>"}},
})

func TestAStreamThatComesWhileAFactWaits(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, cannotCreate)
	b := connectTo(t, s, asRelay)
	awaitFault(t, b, "nats stream add VISITORS")
	seen := make(chan *nats.Msg, 1000)
	nc := s.Connect(asTeam)
	if _, err := nc.ChanSubscribe("visitors.v1.event.>", seen); err != nil {
		t.Fatal(err)
	}
	published := make(chan error, 1)
	go func() {
		_, err := b.Publish(within(t, patience), fact("1"))
		published <- err
	}()
	<-seen // the first try
	createStream(t, s, func(*jetstream.StreamConfig) {}, asTeam)
	if err := <-published; err != nil {
		t.Error(err)
	}
	if n := stored(t, s, asTeam); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

// With nats.go's own retries nothing would be known for 500 ms.
func TestTrap_HiddenRetriesHideThatNoStreamIsThere(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, cannotCreate)
	b := connectTo(t, s, asRelay)
	_, err := b.Publish(within(t, 150*time.Millisecond), fact("1"))
	if !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("%v", err)
	}
	if want := "publish visitors.v1.event.hq.checked_in: no stream takes the subject: expected VISITORS"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestAStreamThatIsDeletedIsCreatedAgain(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	b := ready(t, s)
	if err := s.JetStream().DeleteStream(within(t, patience), "VISITORS"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(within(t, patience), fact("1")); err != nil {
		t.Error(err)
	}
}

func TestAServerThatRestartsWhileAFactWaits(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
	s.Stop()
	if up := sample(t, reg, "sine_relay_nats_connected", "connection", "facts"); up != 0 {
		eventually(t, "the gauge says disconnected", func() bool {
			return sample(t, reg, "sine_relay_nats_connected", "connection", "facts") == 0
		})
	}
	published := make(chan error, 1)
	go func() {
		receipt, err := b.Publish(within(t, patience), fact("1"))
		if receipt.Duplicate {
			t.Error("its own retry is called a duplicate")
		}
		published <- err
	}()
	s.Restart()
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	if n := stored(t, s); n != 1 {
		t.Errorf("stored %d times", n)
	}
	if n := sample(t, reg, "sine_relay_nats_reconnects_total", "connection", "facts"); n != 1 {
		t.Errorf("%v reconnects", n)
	}
}

func TestTrap_ReconnectBufferWouldPublishAfterTheFailure(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	b := ready(t, s)
	s.Stop()
	start := time.Now()
	_, err := b.Publish(within(t, 200*time.Millisecond), fact("late"))
	if !errors.Is(err, visit.ErrDisconnected) || time.Since(start) > atOnce {
		t.Errorf("publish: %v after %s", err, time.Since(start))
	}
	if _, err := b.Ask(within(t, patience), question()); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("ask: %v", err)
	}
	s.Restart()
	asked := make(chan *nats.Msg, 10)
	decide(t, s.Connect(), func(m *nats.Msg) {
		asked <- m
		m.Respond([]byte(`{"decision":"accept"}`))
	})
	// What comes next on each connection proves that nothing came before it.
	if _, err := b.Publish(within(t, patience), fact("next")); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, s); n != 1 {
		t.Errorf("%d facts are stored, one of them after its failure", n)
	}
	eventually(t, "a decision", func() bool {
		_, err := b.Ask(within(t, patience), question())
		return err == nil
	})
	if n := len(asked); n != 1 {
		t.Errorf("%d questions arrived, one of them after its failure", n)
	}
}

func TestTrap_BeforeTheFirstConnectNothingIsKeptEither(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	s.Stop()
	b := connectTo(t, s)
	if _, err := b.Ask(within(t, patience), question()); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("ask: %v", err)
	}
	if _, err := b.Publish(within(t, 50*time.Millisecond), fact("late")); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("publish: %v", err)
	}
	if st := b.Status(); st.DoorConnected || st.FactsConnected || st.Fault != nil || st.LastError == "" {
		t.Errorf("%+v", st)
	}
	s.Restart()
	awaitReady(t, b)
	if n := stored(t, s); n != 0 {
		t.Errorf("%d facts were stored after their failure", n)
	}
}

func TestTrap_OurOwnRetryIsNoDuplicate(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	p := startProxy(t, s)
	b := ready(t, s, func(c *broker.Config) { c.Servers = []string{p.url()} })
	p.swallow(`{"stream":"VISITORS"`)
	receipt, err := b.Publish(within(t, patience), fact("1"))
	if err != nil || receipt.Duplicate || receipt.Sequence != 1 {
		t.Errorf("%+v, %v", receipt, err)
	}
	if !p.swallowed() {
		t.Error("no acknowledgement was swallowed")
	}
	receipt, err = b.Publish(within(t, patience), fact("1"))
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
	s := brokertest.Start(t)
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
	b := connectTo(t, s, func(c *broker.Config) {
		c.Subjects = visit.Subjects{Prefix: "acme"}
		c.Events.Name = "SLOW"
	})
	awaitReady(t, b)
	m := fact("1")
	m.Subject = "slow.v1.event.hq.checked_in"
	receipt, err := b.Publish(within(t, patience), m)
	if err != nil || receipt.Sequence != 7 || receipt.Duplicate {
		t.Errorf("%+v, %v", receipt, err)
	}
}

func TestAnAnswerThatIsNoAcknowledgement(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	b := ready(t, s)
	nc := s.Connect()
	for _, answer := range []string{"", "thanks", `{"stream":"OTHERS","seq":1}`, `{"stream":"VISITORS"}`} {
		sub, err := nc.Subscribe("nobody.v1.event.>", func(m *nats.Msg) { m.Respond([]byte(answer)) })
		if err != nil || nc.Flush() != nil {
			t.Fatal(err)
		}
		m := fact("1")
		m.Subject = "nobody.v1.event.hq.checked_in"
		if _, err := b.Publish(within(t, 50*time.Millisecond), m); !errors.Is(err, visit.ErrTimeout) {
			t.Errorf("%q: %v", answer, err)
		}
		sub.Unsubscribe()
	}
}
