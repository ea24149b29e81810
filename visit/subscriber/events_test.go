package subscriber_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

func TestEvents_ArriveInOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 50)
	ids := make(chan string, 100)
	r := runEvents(t, s.js, subscriber.EventsConfig{}, collect(ids))
	for i := range 50 {
		if got, want := next(t, ids), fmt.Sprintf("a-%d", i); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	s.store(t, "hq", "live", 1)
	if got := next(t, ids); got != "live-0" {
		t.Error(got)
	}
	r.stop(t)
	if i := s.acknowledged(t, "badges"); i.NumPending != 0 {
		t.Errorf("%d are waiting", i.NumPending)
	}
}

// A permission can confine a team to a site only when the consumer has exactly
// one filter subject.
func TestEvents_ConsumerHasExactlyOneFilterSubject(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for durable, c := range map[string]struct {
		cfg  subscriber.EventsConfig
		want string
	}{
		"all":       {subscriber.EventsConfig{}, "visitors.v1.event.>"},
		"site":      {subscriber.EventsConfig{Site: "hq"}, "visitors.v1.event.hq.>"},
		"kind":      {subscriber.EventsConfig{Kind: visit.KindCheckedOut}, "visitors.v1.event.*.checked_out"},
		"site-kind": {subscriber.EventsConfig{Site: "hq", Kind: visit.KindCheckedIn}, "visitors.v1.event.hq.checked_in"},
	} {
		c.cfg.Durable = durable
		r := runEvents(t, s.js, c.cfg, nil)
		eventually(t, "the durable "+durable, func() bool {
			_, err := s.js.Consumer(t.Context(), visit.DefaultEventStream, durable)
			return err == nil
		})
		r.stop(t)
		got := s.consumer(t, durable).Config
		if got.FilterSubject != c.want || len(got.FilterSubjects) != 0 {
			t.Errorf("%s: %q %q", durable, got.FilterSubject, got.FilterSubjects)
		}
		if got.AckPolicy != jetstream.AckExplicitPolicy || got.MaxDeliver != -1 || got.DeliverPolicy != jetstream.DeliverAllPolicy || got.InactiveThreshold != 0 {
			t.Errorf("%s: %+v", durable, got)
		}
	}
}

func TestEvents_SourceArrivesByteForByte(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	source := "\r\n{ \"a\" : 1e400,\t\"b\":\"<\\u003c\" }\n "
	s.storeEvent(t, visit.Event{ID: "1", Kind: visit.KindCheckedIn, Origin: visit.Origin{Site: "hq"}, Source: visit.Source(source)})
	got := make(chan string, 1)
	r := runEvents(t, s.js, subscriber.EventsConfig{}, func(_ context.Context, e visit.Event) error {
		got <- string(e.Source)
		return nil
	})
	if got := next(t, got); got != source {
		t.Errorf("%q", got)
	}
	r.stop(t)
}

func TestDurable_ANewOneBeginsAtTheConfiguredStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 3)
	stream, err := s.js.Stream(t.Context(), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	third, err := stream.GetMsg(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	for durable, cfg := range map[string]subscriber.EventsConfig{
		"sequence": {StartSequence: 3},
		"time":     {StartTime: third.Time},
	} {
		cfg.Durable = durable
		ids := make(chan string, 10)
		r := runEvents(t, s.js, cfg, collect(ids))
		if got := next(t, ids); got != "a-2" {
			t.Errorf("%s: %s", durable, got)
		}
		r.stop(t)
	}
	// An hour ago is another time at every start: a durable that exists goes
	// on where it was.
	ids := make(chan string, 10)
	again := runEvents(t, s.js, subscriber.EventsConfig{Durable: "time", StartTime: time.Now().Add(-time.Hour)}, collect(ids))
	s.store(t, "hq", "b", 1)
	if got := next(t, ids); got != "b-0" {
		t.Error(got)
	}
	again.stop(t)
}

func TestDurable_IsNotTakenFromAnotherProgram(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	ids := make(chan string, 10)
	first := runEvents(t, s.js, subscriber.EventsConfig{Site: "hq"}, collect(ids))
	next(t, ids)
	err := runEvents(t, s.js, subscriber.EventsConfig{Site: "lab"}, nil).wait(t)
	if !errors.Is(err, subscriber.ErrDurableMismatch) {
		t.Errorf("%v", err)
	}
	contains(t, err, "badges", "nats consumer rm VISITORS badges")
	first.stop(t)
}

func TestDurable_AChangedAckWaitIsApplied(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	ids := make(chan string, 10)
	first := runEvents(t, s.js, subscriber.EventsConfig{StartSequence: 1}, collect(ids))
	next(t, ids)
	first.stop(t)
	second := runEvents(t, s.js, subscriber.EventsConfig{AckWait: time.Minute, MaxDeliver: 7}, collect(ids))
	s.store(t, "hq", "b", 1)
	if got := next(t, ids); got != "b-0" {
		t.Error(got)
	}
	second.stop(t)
	if c := s.consumer(t, "badges").Config; c.AckWait != time.Minute || c.MaxDeliver != 7 {
		t.Errorf("%+v", c)
	}
}

func TestEvents_AnInvalidConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		cfg  subscriber.EventsConfig
		want string
	}{
		"a durable with a dot":   {subscriber.EventsConfig{Durable: "a.b"}, "Durable must match"},
		"a site with a wildcard": {subscriber.EventsConfig{Site: "*"}, "Site must match"},
		"a question":             {subscriber.EventsConfig{Kind: visit.KindCheckInRequest}, "check_in_request"},
		"two starts":             {subscriber.EventsConfig{StartSequence: 1, StartTime: time.Now()}, "must not be set together"},
		"too much at once":       {subscriber.EventsConfig{Concurrency: 129}, "got 129"},
		"a negative time":        {subscriber.EventsConfig{Backoff: []time.Duration{-1}}, "negative"},
		"no such stream":         {subscriber.EventsConfig{Stream: "NOPE"}, "stream not found"},
	} {
		if err := runEvents(t, s.js, c.cfg, nil).wait(t); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			contains(t, err, c.want)
		}
	}
	if err := subscriber.Events(t.Context(), s.js, subscriber.EventsConfig{}, nil); err == nil {
		t.Error("no durable: no error")
	}
}

func TestEvents_EndWhenTheConsumerIsDeleted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	ids := make(chan string, 10)
	r := runEvents(t, s.js, subscriber.EventsConfig{Concurrency: 3}, collect(ids))
	next(t, ids)
	if err := s.js.DeleteConsumer(t.Context(), visit.DefaultEventStream, "badges"); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); !errors.Is(err, subscriber.ErrConsumerDeleted) {
		t.Errorf("%v", err)
	}
}

// Nobody is told when no pull is waiting: the next one meets silence.
func TestEvents_EndWhenTheConsumerIsDeletedWhileAHandlerRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	entered, leave := make(chan bool, 1), make(chan bool)
	r := runEvents(t, s.js, subscriber.EventsConfig{}, func(context.Context, visit.Event) error {
		entered <- true
		<-leave
		return nil
	})
	next(t, entered)
	if err := s.js.DeleteConsumer(t.Context(), visit.DefaultEventStream, "badges"); err != nil {
		t.Fatal(err)
	}
	close(leave)
	if err := r.wait(t); !errors.Is(err, subscriber.ErrConsumerDeleted) {
		t.Errorf("%v", err)
	}
}

func TestEvents_EndWhenTheConnectionIsClosed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	js := s.JetStream()
	ids := make(chan string, 10)
	r := runEvents(t, js, subscriber.EventsConfig{}, collect(ids))
	next(t, ids)
	js.Conn().Close()
	if err := r.wait(t); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("%v", err)
	}
}

func TestEvents_ContinueAfterAServerRestart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "before", 5)
	ids := make(chan string, 100)
	r := runEvents(t, s.js, subscriber.EventsConfig{AckWait: time.Second}, collect(ids))
	seen := map[string]bool{}
	until := func(n int) {
		for len(seen) < n {
			seen[next(t, ids)] = true
		}
	}
	until(5)
	s.Stop()
	s.Restart()
	// It may not have noticed yet that it was disconnected.
	eventually(t, "connected again", func() bool {
		return s.js.Conn().Stats().Reconnects > 0 && s.js.Conn().IsConnected()
	})
	s.store(t, "hq", "after", 5)
	until(10)
	r.stop(t)
}

func TestEvents_WaitForTheServerToStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "a", 1)
	s.Stop()
	js := s.JetStream(nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectBufSize(-1))
	ids := make(chan string, 10)
	r := runEvents(t, js, subscriber.EventsConfig{}, collect(ids))
	next(t, r.errors) // it says that it waits
	s.Restart()
	next(t, ids)
	r.stop(t)
}
