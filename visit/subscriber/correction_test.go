package subscriber_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// storeCorrected stores an event without a company, two corrections of it, and another
// event behind them.
func (s *site) storeCorrected(t *testing.T) {
	t.Helper()
	event := visit.Event{ID: "e1", Kind: visit.KindCheckedIn, Origin: visit.Origin{Site: "hq"}}
	s.storeEvent(t, event)
	current := event
	for _, company := range []string{"Contosso", "Contoso"} {
		c := event
		c.Company = company
		if err := c.Correct(&current); err != nil {
			t.Fatal(err)
		}
		s.storeEvent(t, c)
		current = c
	}
	s.store(t, "hq", "last", 1)
}

// A program that knows nothing of corrections opens no barrier for one.
func TestCorrections_AreSkippedUnlessTheyAreWanted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.storeCorrected(t)
	ids := make(chan string, 10)
	r := runEvents(t, s.js, subscriber.EventsConfig{}, collect(ids))
	for _, want := range []string{"e1", "last-0"} {
		if got := next(t, ids); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if info := s.acknowledged(t, "badges"); info.AckFloor.Stream != 4 {
		t.Errorf("acknowledged up to %d, want all four", info.AckFloor.Stream)
	}
	r.stop(t)
}

// The second delivery of each is kept away, a correction is not. What fails at first comes
// behind its corrections, and does not undo them.
func TestCorrections_LeadToTheSameStateInAnyOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.storeCorrected(t)
	s.storeCorrected(t) // as beyond the window in which NATS recognises duplicates
	s.store(t, "hq", "end", 1)
	entries, handled, failed := map[string]visit.Event{}, 0, false
	ended := make(chan struct{})
	cfg := subscriber.EventsConfig{Corrections: true, Backoff: []time.Duration{50 * time.Millisecond}}
	r := runEvents(t, s.js, cfg, subscriber.Dedupe(subscriber.DedupeInMemory(100), func(_ context.Context, e visit.Event) error {
		if e.ID == "e1" && !failed {
			failed = true
			return errors.New("not yet")
		}
		handled++
		if known, found := entries[e.OriginalID()]; !found || e.Supersedes(&known) {
			entries[e.OriginalID()] = e
		}
		if handled == 5 { // e1, its two corrections, last-0, end-0
			close(ended)
		}
		return nil
	}))
	next(t, ended)
	r.stop(t)
	if e := entries["e1"]; len(entries) != 3 || e.Company != "Contoso" || e.Revision != 2 || e.Corrects != "e1" {
		t.Errorf("%d entries, and %+v", len(entries), e)
	}
}
