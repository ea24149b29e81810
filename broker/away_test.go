package broker_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestPublish_SucceedsWhenTheServerRestartsMeanwhile(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
	s.Stop()
	if up := sample(t, reg, "sine_relay_nats_connected", "connection", "events"); up != 0 {
		eventually(t, "the gauge says disconnected", func() bool {
			return sample(t, reg, "sine_relay_nats_connected", "connection", "events") == 0
		})
	}
	published := make(chan error, 1)
	go func() {
		receipt, err := b.Publish(within(t, patience), event("1"))
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
	if n := sample(t, reg, "sine_relay_nats_reconnects_total", "connection", "events"); n != 1 {
		t.Errorf("%v reconnects", n)
	}
}

func TestTrap_ReconnectBufferWouldPublishAfterTheFailure(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	s.Stop()
	start := time.Now()
	_, err := b.Publish(within(t, time.Second), event("late"))
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
	if _, err := b.Publish(within(t, patience), event("next")); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, s); n != 1 {
		t.Errorf("%d events are stored, one of them after its failure", n)
	}
	eventually(t, "a decision", func() bool {
		_, err := b.Ask(within(t, patience), question())
		return err == nil
	})
	if n := len(asked); n != 1 {
		t.Errorf("%d questions arrived, one of them after its failure", n)
	}
}

// endsLater is a context whose time is over when somebody waits for its end for
// the third time.
type endsLater struct {
	context.Context
	waits atomic.Int32
}

const waitsOfOneTry = 2 // for the sending, and for the next try

func (e *endsLater) Done() <-chan struct{} {
	if e.waits.Add(1) <= waitsOfOneTry {
		return nil
	}
	ended := make(chan struct{})
	close(ended)
	return ended
}

func (e *endsLater) Err() error {
	if e.waits.Load() <= waitsOfOneTry {
		return nil
	}
	return context.DeadlineExceeded
}

// The time may end while the client is busy with another try: that says less than
// what the try before ran into.
func TestPublish_ReportsTheCauseWhenTheDeadlineEndsWhileSending(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	s.Stop()
	b := connectTo(t, s)
	if _, err := b.Publish(&endsLater{Context: t.Context()}, event("1")); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("%v", err)
	}
}

func TestTrap_BeforeTheFirstConnectNothingIsKeptEither(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	s.Stop()
	b := connectTo(t, s)
	if _, err := b.Ask(within(t, patience), question()); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("ask: %v", err)
	}
	if _, err := b.Publish(within(t, time.Second), event("late")); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("publish: %v", err)
	}
	if st := b.Status(); st.RequestsConnected || st.EventsConnected || st.Fault != nil || st.LastError == "" {
		t.Errorf("%+v", st)
	}
	lines := strings.Join(b.Status().Lines(), "\n")
	if !regexp.MustCompile(`(?m)^last error at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ: dial tcp .*refused$`).MatchString(lines) {
		t.Errorf("the last error has no time:\n%s", lines)
	}
	s.Restart()
	awaitReady(t, b)
	if n := stored(t, s); n != 0 {
		t.Errorf("%d events were stored after their failure", n)
	}
}
