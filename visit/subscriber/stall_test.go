package subscriber_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

var errBad = errors.New("bad")

// failingFor fails for what begins with "bad", and hands over the rest.
func failingFor(ids chan<- string) handler {
	return func(_ context.Context, e visit.Event) error {
		if strings.HasPrefix(e.ID, "bad") {
			return errBad
		}
		ids <- e.ID
		return nil
	}
}

// A server that is not told otherwise delivers nothing more once a thousand are
// not acknowledged.
func TestRetry_FailedEventsDoNotStarveNewerOnes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const bad = 1200
	s.store(t, "hq", "bad", bad)
	s.store(t, "lab", "good", 1)
	ids := make(chan string, 1)
	r := runEvents(t, s.js, subscriber.EventsConfig{Concurrency: 8, Backoff: []time.Duration{time.Hour}}, failingFor(ids))
	if got := next(t, ids); got != "good-0" {
		t.Error(got)
	}
	r.stop(t)
	eventually(t, "those that failed wait for their retry", func() bool { return s.consumer(t, "badges").NumAckPending == bad })
}

// durable makes one as another program, or an operator, would have.
func (s *site) durable(t *testing.T, change func(*jetstream.ConsumerConfig)) {
	t.Helper()
	c := jetstream.ConsumerConfig{Durable: "badges", FilterSubject: "visitors.v1.event.>", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1}
	change(&c)
	if _, err := s.js.CreateConsumer(t.Context(), visit.DefaultEventStream, c); err != nil {
		t.Fatal(err)
	}
}

func TestDurable_AnExistingOneGetsTheConfiguredLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.durable(t, func(*jetstream.ConsumerConfig) {})
	if got := s.consumer(t, "badges").Config.MaxAckPending; got != 1000 {
		t.Fatalf("the server's own limit is %d", got)
	}
	for i, c := range []struct{ configured, want int }{{0, -1}, {7, 7}, {0, -1}} {
		ids := make(chan string, 1)
		r := runEvents(t, s.js, subscriber.EventsConfig{MaxAckPending: c.configured}, collect(ids))
		s.store(t, "hq", fmt.Sprint(i), 1)
		next(t, ids)
		r.stop(t)
		if got := s.consumer(t, "badges").Config.MaxAckPending; got != c.want {
			t.Errorf("configured %d: the limit is %d, want %d", c.configured, got, c.want)
		}
	}
}

// limit sets what the stream permits its consumers.
func (s *site) limit(t *testing.T, limits jetstream.StreamConsumerLimits) {
	t.Helper()
	stream, err := s.js.Stream(t.Context(), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	c.ConsumerLimits = limits
	if _, err := s.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// Worse than a durable that stays as it is would be a program that receives nothing.
func TestDurable_OneThatNATSCannotChangeIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.durable(t, func(c *jetstream.ConsumerConfig) {
		c.BackOff, c.MaxDeliver = []time.Duration{time.Second, time.Minute}, 5
	})
	ids := make(chan string, 1)
	r := runEvents(t, s.js, subscriber.EventsConfig{MaxDeliver: 1}, collect(ids))
	contains(t, next(t, r.errors), "badges keeps AckWait", "MaxAckPending 1000")
	s.store(t, "hq", "a", 1)
	next(t, ids)
	r.stop(t)
}

func TestDurable_IsUnlimitedThoughTheStreamHasALimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(t, jetstream.StreamConsumerLimits{MaxAckPending: 10})
	contains(t, runEvents(t, s.js, subscriber.EventsConfig{MaxAckPending: 20}, nil).wait(t), "max ack pending")
	ids := make(chan string, 1)
	r := runEvents(t, s.js, subscriber.EventsConfig{}, collect(ids))
	s.store(t, "hq", "a", 1)
	next(t, ids)
	r.stop(t)
	if got := s.consumer(t, "badges").Config.MaxAckPending; got != -1 {
		t.Errorf("the limit is %d", got)
	}
}

// What somebody else chose holds, and not what the configuration says.
func TestDurable_BindOnlyKeepsItsSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.durable(t, func(c *jetstream.ConsumerConfig) { c.AckWait, c.MaxDeliver, c.MaxAckPending = 2*time.Second, 2, 50 })
	s.store(t, "hq", "bad", 1)
	cfg := subscriber.EventsConfig{BindOnly: true, Concurrency: 2, Backoff: []time.Duration{time.Millisecond}}
	began, enough := make(chan string, 10), make(chan bool)
	r := runEvents(t, s.js, cfg, func(context.Context, visit.Event) error {
		began <- ""
		<-enough
		return errBad
	})
	contains(t, next(t, r.errors), "while 50 are unacknowledged")
	next(t, began)
	select {
	case <-began:
		t.Error("delivered again while it was being handled")
	case <-time.After(6 * time.Second):
	}
	close(enough)
	if first, last := r.nextEventError(t), r.nextEventError(t); first.Final || !last.Final {
		t.Errorf("%+v, %+v", first, last)
	}
	r.stop(t)
}

func TestDurable_OneOfHeadersOnlyIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.durable(t, func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true })
	s.store(t, "hq", "a", 1)
	err := runEvents(t, s.js, subscriber.EventsConfig{}, nil).wait(t)
	if !errors.Is(err, subscriber.ErrDurableMismatch) {
		t.Errorf("%v", err)
	}
	contains(t, err, "headers only")
	if i := s.consumer(t, "badges"); i.NumPending != 1 {
		t.Errorf("%d wait: an event was given up that nobody has read", i.NumPending)
	}
}

func TestDurable_UnexpectedSettingsAreReported(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.durable(t, func(c *jetstream.ConsumerConfig) {
		c.InactiveThreshold, c.ReplayPolicy = time.Hour, jetstream.ReplayOriginalPolicy
	})
	r := runEvents(t, s.js, subscriber.EventsConfig{}, nil)
	contains(t, next(t, r.errors), "deletes badges", "1h0m0s")
	contains(t, next(t, r.errors), "replays events at their original speed")
	r.stop(t)
}

func (r *run) nextStall(t *testing.T) *subscriber.StallError {
	t.Helper()
	for {
		var e *subscriber.StallError
		if errors.As(next(t, r.errors), &e) {
			return e
		}
	}
}

func TestStall_IsReported(t *testing.T) {
	t.Parallel()
	const often = 50 * time.Millisecond
	t.Run("at the limit of what is not acknowledged", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.store(t, "hq", "bad", 2)
		s.store(t, "hq", "good", 3)
		cfg := subscriber.EventsConfig{MaxAckPending: 2, StallAfter: often, Backoff: []time.Duration{time.Hour}}
		r := runEvents(t, s.js, cfg, failingFor(make(chan string, 3)))
		e := r.nextStall(t)
		if e.Durable != "badges" || e.Pending != 3 || e.AckPending != 2 || e.MaxAckPending != 2 || e.Duration <= 0 {
			t.Errorf("%+v", e)
		}
		contains(t, e, "3 pending", "raise MaxAckPending")
		if again := r.nextStall(t); again.Duration <= e.Duration {
			t.Errorf("%s, and then %s", e.Duration, again.Duration)
		}
		r.stop(t)
	})
	t.Run("while a handler hangs", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.store(t, "hq", "a", 2)
		leave := make(chan bool)
		r := runEvents(t, s.js, subscriber.EventsConfig{StallAfter: often}, func(context.Context, visit.Event) error { <-leave; return nil })
		if e := r.nextStall(t); e.Pending != 1 || e.AckPending != 1 {
			t.Errorf("%+v", e)
		} else {
			contains(t, e, "1 in flight")
		}
		close(leave)
		r.stop(t)
	})
	t.Run("while the consumer is paused", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.store(t, "hq", "a", 1)
		s.durable(t, func(c *jetstream.ConsumerConfig) { until := time.Now().Add(time.Hour); c.PauseUntil = &until })
		r := runEvents(t, s.js, subscriber.EventsConfig{StallAfter: often}, nil)
		if e := r.nextStall(t); e.Pending != 1 || e.PauseRemaining < 50*time.Minute {
			t.Errorf("%+v", e)
		} else {
			contains(t, e, "paused for another")
		}
		r.stop(t)
	})
	t.Run("and what failed while nothing newer waits is none", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.store(t, "hq", "bad", 3)
		r := runEvents(t, s.js, subscriber.EventsConfig{StallAfter: often, Backoff: []time.Duration{time.Hour}}, failingFor(nil))
		for range 3 {
			r.nextEventError(t)
		}
		time.Sleep(10 * often)
		for len(r.errors) > 0 {
			if e := (*subscriber.StallError)(nil); errors.As(<-r.errors, &e) {
				t.Errorf("%v", e)
			}
		}
		r.stop(t)
	})
}

// NATS delivers what comes again before what is new.
func TestRetry_SlowRetriesLeaveTimeForNewEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store(t, "hq", "bad", 10)
	s.store(t, "hq", "good", 10)
	ids := make(chan string, 10)
	quick := failingFor(ids)
	r := runEvents(t, s.js, subscriber.EventsConfig{Backoff: []time.Duration{time.Millisecond}}, func(ctx context.Context, e visit.Event) error {
		time.Sleep(20 * time.Millisecond)
		return quick(ctx, e)
	})
	for i := range 10 {
		if got, want := next(t, ids), fmt.Sprintf("good-%d", i); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	r.stop(t)
}
