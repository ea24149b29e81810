package subscriber_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

func (s *site) bucket(t *testing.T) jetstream.KeyValue {
	t.Helper()
	kv, err := s.js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "seen", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// The stream takes the same events a second time, as beyond its dedupe window.
func TestDedupe_ARepeatedEventIsHandledOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, seen := range map[string]subscriber.DedupeStore{"memory": subscriber.DedupeInMemory(100), "bucket": subscriber.DedupeInBucket(s.bucket(t))} {
		t.Run(name, func(t *testing.T) {
			ids := make(chan string, 100)
			r := runEvents(t, s.js, subscriber.EventsConfig{Durable: name}, subscriber.Dedupe(seen, collect(ids)))
			for range 3 {
				s.store(t, "hq", name, 5)
			}
			s.store(t, "hq", name+"-last", 1)
			count := map[string]int{}
			for id := ""; id != name+"-last-0"; {
				id = next(t, ids)
				count[id]++
			}
			for i := range 5 {
				if id := fmt.Sprintf("%s-%d", name, i); count[id] != 1 {
					t.Errorf("%s was handled %d times", id, count[id])
				}
			}
			r.stop(t)
			s.acknowledged(t, name)
		})
	}
}

func TestDedupe_AFailedEventIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var calls atomic.Int64
	handled := make(chan struct{}, 10)
	h := subscriber.Dedupe(subscriber.DedupeInMemory(10), func(context.Context, visit.Event) error {
		if calls.Add(1) == 1 {
			return errors.New("not yet")
		}
		handled <- struct{}{}
		return nil
	})
	r := runEvents(t, s.js, subscriber.EventsConfig{Backoff: []time.Duration{time.Millisecond}}, h)
	s.store(t, "hq", "a", 1)
	next(t, handled)
	r.stop(t)
}

func TestDedupe_ABucketOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := visit.Event{ID: "0123456789abcdef0123456789abcdef"}
	var calls int
	for range 2 {
		h := subscriber.Dedupe(subscriber.DedupeInBucket(s.bucket(t)), func(context.Context, visit.Event) error { calls++; return nil })
		if err := h(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 1 {
		t.Errorf("handled %d times", calls)
	}
}

func TestDedupe_NothingIsHandledWhileTheBucketIsMissing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	kv := s.bucket(t)
	if err := s.js.DeleteKeyValue(t.Context(), "seen"); err != nil {
		t.Fatal(err)
	}
	ids := make(chan string, 10)
	r := runEvents(t, s.js, subscriber.EventsConfig{Backoff: []time.Duration{time.Millisecond}}, subscriber.Dedupe(subscriber.DedupeInBucket(kv), collect(ids)))
	s.store(t, "hq", "a", 1)
	contains(t, next(t, r.errors), "look up event a-0")
	if len(ids) > 0 {
		t.Error("it was handled all the same")
	}
	s.bucket(t)
	if got := next(t, ids); got != "a-0" {
		t.Error(got)
	}
	r.stop(t)
}

// failing has a memory that forgets to remember.
type failing struct{ subscriber.DedupeStore }

func (failing) Add(context.Context, string) error { return errors.New("full") }

func TestDedupe_AnEventThatCannotBeRememberedIsHandledAgain(t *testing.T) {
	var calls int
	h := subscriber.Dedupe(failing{subscriber.DedupeInMemory(1)}, func(context.Context, visit.Event) error { calls++; return nil })
	for range 2 {
		contains(t, h(t.Context(), visit.Event{ID: "a"}), "store the id of event a, which was handled: full")
	}
	if calls != 2 {
		t.Errorf("handled %d times", calls)
	}
}

func TestDedupe_MemoryForgetsTheOldest(t *testing.T) {
	seen := subscriber.DedupeInMemory(3)
	for i := range 5 {
		for range 2 { // a second time makes nothing older
			if err := seen.Add(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 5 {
		if got, _ := seen.Has(t.Context(), fmt.Sprint(i)); got != (i >= 2) {
			t.Errorf("%d is known: %v", i, got)
		}
	}
}

func TestDedupe_OneIDIsHandledByOneWorkerAtATime(t *testing.T) {
	var calls, now atomic.Int64
	began, goOn := make(chan struct{}), make(chan struct{})
	h := subscriber.Dedupe(subscriber.DedupeInMemory(10), func(_ context.Context, e visit.Event) error {
		if now.Add(1) > 1 {
			t.Error("two at a time")
		}
		defer now.Add(-1)
		if calls.Add(1) == 1 {
			close(began)
			<-goOn
		}
		return nil
	})
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			if err := h(t.Context(), visit.Event{ID: "same"}); err != nil {
				t.Error(err)
			}
		})
	}
	<-began
	ended, end := context.WithCancel(t.Context())
	end()
	if err := h(ended, visit.Event{ID: "same"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a worker whose context has ended: %v", err)
	}
	close(goOn)
	workers.Wait()
	if calls.Load() != 1 {
		t.Errorf("handled %d times", calls.Load())
	}
}

// The permissions that the comment of SeenInBucket names are enough.
func TestPermissions_DocumentedOnesSufficeForABucket(t *testing.T) {
	t.Parallel()
	s := confined(t, []string{"$KV.seen.>", "$JS.API.STREAM.INFO.KV_seen", "$JS.API.DIRECT.GET.KV_seen.>"}, []string{"_INBOX.>"})
	s.bucket(t)
	kv, err := s.JetStream(asTeam()).KeyValue(t.Context(), "seen")
	if err != nil {
		t.Fatal(err)
	}
	seen := subscriber.DedupeInBucket(kv)
	for _, id := range []string{"0123456789abcdef0123456789abcdef", "any other id > *"} {
		for _, want := range []bool{false, true} {
			if known, err := seen.Has(t.Context(), id); err != nil || known != want {
				t.Errorf("%q is known: %v %v", id, known, err)
			}
			if err := seen.Add(t.Context(), id); err != nil {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
}
