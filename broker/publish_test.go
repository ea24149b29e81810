package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestPublish_StoresAnEvent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	m := event("1")
	receipt, err := b.Publish(within(t, patience), m)
	if err != nil || receipt != (visit.Receipt{Stream: "VISITORS", Sequence: 1}) {
		t.Fatalf("%+v, %v", receipt, err)
	}
	stream, err := s.JetStream().Stream(within(t, patience), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	got, err := stream.GetMsg(within(t, patience), 1)
	if err != nil || got.Subject != m.Subject || string(got.Data) != string(m.Data) || got.Header.Get(visit.HeaderID) != "1" {
		t.Errorf("%+v, %v", got, err)
	}
	if len(m.Header) != 2 {
		t.Errorf("the caller's header was changed: %v", m.Header)
	}
}

func TestDuplicate_RepeatIsReported(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	for i := range 3 {
		receipt, err := b.Publish(within(t, patience), event("1"))
		if err != nil || receipt.Duplicate != (i > 0) || receipt.Sequence != 1 {
			t.Errorf("%+v, %v", receipt, err)
		}
	}
	if n := stored(t, s); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

func TestDuplicate_ConcurrentRepeatsAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	ctx := within(t, patience)
	const senders = 50
	results := make(chan bool, senders)
	for range senders {
		go func() {
			receipt, err := b.Publish(ctx, event("1"))
			if err != nil {
				t.Error(err)
			}
			results <- receipt.Duplicate
		}()
	}
	first := 0
	for range senders {
		if !<-results {
			first++
		}
	}
	if n := stored(t, s); n != 1 || first != 1 {
		t.Errorf("stored %d times, told %d senders that theirs was the first", n, first)
	}
}

func TestQuarantine_StoresAnUnreadableBody(t *testing.T) {
	t.Parallel()
	b := ready(t, natstest.Start(t))
	q := visit.Quarantined{RequestID: "R", Site: "hq", Integration: "lobby", Reason: visit.ReasonNotJSON, Body: []byte("hello")}
	receipt, err := b.Publish(within(t, patience), q.Message(visit.Subjects{}))
	if err != nil || receipt.Stream != "VISITOR_QUARANTINE" {
		t.Errorf("%+v, %v", receipt, err)
	}
	if _, err := b.Publish(within(t, patience), question()); err == nil {
		t.Error("a question was published as an event")
	}
}

func TestPublish_ReportsDeniedPermissionAtOnce(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, withUser(&server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"visitors.v1.event.>"}},
	}))
	b := ready(t, s, asRelay)
	start := time.Now()
	_, err := b.Publish(within(t, patience), event("1"))
	if !errors.Is(err, visit.ErrDenied) || time.Since(start) > atOnce {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestPublish_ReportsAStreamOfAnotherName(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	createStream(t, s, func(c *jetstream.StreamConfig) { c.Name = "OTHERS" })
	b := connectTo(t, s)
	awaitFault(t, b, "create stream VISITORS")
	_, err := b.Publish(within(t, patience), event("1"))
	if !errors.Is(err, visit.ErrStreamMissing) || !strings.Contains(err.Error(), "expected VISITORS, but it is stored by OTHERS") {
		t.Errorf("%v", err)
	}
}

func TestPublish_EndsWhenTheCallerCancels(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	s.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	published := make(chan error, 1)
	go func() {
		_, err := b.Publish(ctx, event("1"))
		published <- err
	}()
	cancel()
	if err := <-published; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestClose_RefusesFurtherCalls(t *testing.T) {
	t.Parallel()
	b := ready(t, natstest.Start(t))
	for range 2 {
		if err := b.Close(within(t, patience)); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := b.Publish(within(t, patience), event("1")); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("publish: %v", err)
	}
	if _, err := b.Ask(within(t, patience), question()); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("ask: %v", err)
	}
}
