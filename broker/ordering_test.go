package broker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// seen listens to what is published, whether a stream takes it or not.
type seen struct {
	mu  sync.Mutex
	ids []string
}

func watchEvents(t *testing.T, s *natstest.Server) *seen {
	t.Helper()
	w := &seen{}
	nc := s.Connect()
	_, err := nc.Subscribe("visitors.v1.event.>", func(m *nats.Msg) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ids = append(w.ids, m.Header.Get(visit.HeaderMsgID))
	})
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	return w
}

func (w *seen) count(part string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.ids {
		if strings.Contains(id, part) {
			n++
		}
	}
	return n
}

// While a stream takes nothing, a check-out waits behind the check-in of its own
// visit, and behind no other.
func TestOrdering_OverlappingCallsOfAVisitKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const visits = 5
	s := natstest.Start(t)
	b, js := ready(t, s), s.JetStream()
	subjects := []string{"visitors.v1.event.>"}
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere"} })
	w := watchEvents(t, s)

	var calls sync.WaitGroup
	publish := func(order, id string) {
		calls.Go(func() {
			if _, err := b.Publish(within(t, patience), ordered(order, id)); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	for i := range visits {
		publish(fmt.Sprint("visit/", i), fmt.Sprint("in-", i))
	}
	eventually(t, "all check-ins are on their way", func() bool { return w.count("in-") >= visits })
	for i := range visits {
		publish(fmt.Sprint("visit/", i), fmt.Sprint("out-", i))
	}
	publish("integration/hq", "beside-1")
	publish("integration/hq", "beside-2")
	eventually(t, "others are sent at once", func() bool { return w.count("beside-1") > 0 && w.count("beside-2") > 0 })
	again := w.count("in-0")
	eventually(t, "a check-in is sent again", func() bool { return w.count("in-0") > again })
	if n := w.count("out-"); n > 0 {
		t.Errorf("%d check-outs were sent although their check-ins are not stored", n)
	}
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = subjects })
	calls.Wait()
	place := map[string]int{}
	for i, id := range ids(t, js) {
		place[id] = i
	}
	for i := range visits {
		if place[fmt.Sprint("out-", i)] <= place[fmt.Sprint("in-", i)] {
			t.Errorf("visit %d: the check-out came first", i)
		}
	}
}

// The spool takes over when the time is nearly up, and the order with it.
func TestOrdering_OverlappingCallsKeepTheirOrderInTheSpool(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	buffer := openSpool(t, t.TempDir(), 1<<20)
	b, js := ready(t, s, with(buffer, nil)), s.JetStream()
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere"} })
	w := watchEvents(t, s)
	var calls sync.WaitGroup
	for _, id := range []string{"first", "second"} {
		calls.Go(func() {
			receipt, err := b.Publish(within(t, 2*time.Second), ordered("visit/1", id))
			if err != nil || !receipt.Spooled {
				t.Errorf("%s: %+v %v", id, receipt, err)
			}
		})
		eventually(t, "the first is on its way", func() bool { return w.count("first") > 0 })
	}
	calls.Wait()
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"visitors.v1.event.>"} })
	awaitDrained(t, buffer)
	if got := strings.Join(ids(t, js), " "); got != "first second" {
		t.Errorf("stored as %s", got)
	}
}

func TestOrdering_CallThatTimesOutWhileItWaitsIsNotSent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b, js := ready(t, s), s.JetStream()
	bound(t, js, "VISITORS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere"} })
	w := watchEvents(t, s)
	first, giveUp := context.WithCancel(within(t, patience))
	ended := make(chan error, 1)
	go func() { _, err := b.Publish(first, ordered("visit/1", "first")); ended <- err }()
	eventually(t, "the first is on its way", func() bool { return w.count("first") > 0 })
	if _, err := b.Publish(within(t, 50*time.Millisecond), ordered("visit/1", "second")); err == nil {
		t.Error("the second is stored")
	}
	giveUp()
	if err := <-ended; err == nil {
		t.Error("the first is stored")
	}
	if w.count("second") > 0 {
		t.Error("the second was sent")
	}
}
