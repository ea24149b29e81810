package subscribertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// called says in words what was delivered, with the positions of the events.
func called(done []subscribertest.Delivery, events ...visit.Event) (words []string) {
	for _, d := range done {
		i := slices.IndexFunc(events, func(e visit.Event) bool { return e.ID == d.ID })
		text := fmt.Sprintf("%d %s", i, d.Why)
		if d.Err != nil {
			text += " failed"
		}
		words = append(words, text)
	}
	return words
}

func TestDeliver_DeliversAtTheWorst(t *testing.T) {
	events := []visit.Event{subscribertest.Visitor().CheckedIn(), subscribertest.Visitor().CheckedOut()}
	failed := map[string]bool{}
	done := subscribertest.Deliver(t, func(_ context.Context, e visit.Event) error {
		switch {
		case failed[e.ID]:
			return nil
		case e.Kind == visit.KindCheckedOut:
			failed[e.ID] = true
			panic("the printer is on fire")
		}
		failed[e.ID] = true
		return errors.New("the printer is out of paper")
	}, events...)
	want := []string{
		"0 new failed", "1 new failed", "0 after an error", "1 after an error",
		"0 again", "1 again", "0 after a restart", "1 after a restart",
	}
	if got := called(done, events...); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if err := done[1].Err; !strings.Contains(err.Error(), "the handler panicked: the printer is on fire\n") {
		t.Error(err)
	}
}

// What the program would do twice in service it does twice in the test.
func TestDeliver_FindsWhatIsDoneTwice(t *testing.T) {
	badges := 0
	printBadge := func(context.Context, visit.Event) error { badges++; return nil }
	subscribertest.Deliver(t, printBadge, subscribertest.Visitor().CheckedIn())
	if badges != 3 {
		t.Errorf("%d badges without deduplication", badges)
	}
	badges = 0
	subscribertest.Deliver(t, subscriber.Dedupe(subscriber.DedupeInMemory(10), printBadge), subscribertest.Visitor().CheckedIn())
	if badges != 1 {
		t.Errorf("%d badges with deduplication", badges)
	}
}

// A store in memory is empty after a restart.
func TestConsumer_LosesAtARestartWhatIsInMemory(t *testing.T) {
	badges := 0
	printBadge := func(context.Context, visit.Event) error { badges++; return nil }
	inMemory := subscribertest.Consumer{Start: func() subscribertest.Handle {
		return subscriber.Dedupe(subscriber.DedupeInMemory(10), printBadge)
	}}
	if inMemory.Deliver(t, subscribertest.Visitor().CheckedIn()); badges != 2 {
		t.Errorf("%d badges with a store in memory", badges)
	}
	badges = 0
	store := subscriber.DedupeInMemory(10) // stands for one that survives the program
	kept := subscribertest.Consumer{Start: func() subscribertest.Handle { return subscriber.Dedupe(store, printBadge) }}
	if kept.Deliver(t, subscribertest.Visitor().CheckedIn()); badges != 1 {
		t.Errorf("%d badges with a store that is kept", badges)
	}
}

func TestDeliver_DeliversCorrectionsToThoseThatWantThem(t *testing.T) {
	e := subscribertest.NoCompany().CheckedIn()
	first := subscribertest.Correct(t, e, func(e *visit.Event) { e.Company = "Harrow Lifts" })
	second := subscribertest.Correct(t, first, func(e *visit.Event) { e.Company = "Harrow Lift Services" })
	events := []visit.Event{second, e, first}
	entries := map[string]visit.Event{}
	keep := func(_ context.Context, e visit.Event) error {
		if known, found := entries[e.OriginalID()]; !found || e.Supersedes(&known) {
			entries[e.OriginalID()] = e
		}
		return nil
	}
	subscribertest.Deliver(t, keep, events...)
	if len(entries) != 1 || entries[e.ID].Company != "" {
		t.Errorf("without corrections: %v", entries)
	}
	all := subscribertest.Consumer{Corrections: true, Start: func() subscribertest.Handle { return keep }}
	if done := all.Deliver(t, events...); len(done) != 9 || len(entries) != 1 || entries[e.ID].Company != "Harrow Lift Services" {
		t.Errorf("with corrections: %d deliveries, %v", len(done), entries)
	}
}

func TestDeliver_FailsForAHandlerThatAlwaysFails(t *testing.T) {
	calls := 0
	failing := func(context.Context, visit.Event) error { calls++; return errors.New("no paper") }
	got := failure(t, func(t testing.TB) { subscribertest.Deliver(t, failing, subscribertest.Visitor().CheckedIn()) })
	if calls != 10 || !strings.Contains(got, "the handler failed 10 times for one event") || !strings.Contains(got, "no paper") {
		t.Errorf("after %d calls: %s", calls, got)
	}
	e := subscribertest.Visitor().CheckedIn()
	givesUp := subscribertest.Consumer{MaxDeliver: 2, Start: func() subscribertest.Handle { return failing }}
	done := called(givesUp.Deliver(t, e), e)
	if !slices.Equal(done, []string{"0 new failed", "0 after an error failed"}) {
		t.Errorf("with MaxDeliver: %q", done)
	}
}

func TestDeliver_RefusesWhatNoRelayStores(t *testing.T) {
	nameless, never := subscribertest.Visitor().CheckedIn(), subscribertest.Visitor().CheckedIn()
	nameless.ID = ""
	never.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	ignore := func(context.Context, visit.Event) error { return nil }
	for _, e := range []visit.Event{nameless, never} {
		got := failure(t, func(t testing.TB) { subscribertest.Deliver(t, ignore, e) })
		if !strings.Contains(got, "event 1 of those to deliver cannot come from a relay") {
			t.Error(got)
		}
	}
	got := failure(t, func(t testing.TB) {
		subscribertest.Correct(t, subscribertest.Visitor().CheckedIn(), func(e *visit.Event) { e.Time = never.Time })
	})
	if !strings.Contains(got, "correct event") {
		t.Error(got)
	}
}
