package spool

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// at is an entry that was stored some seconds after another time.
func at(order, id string, seconds int) Entry {
	e := entry(order, id)
	e.Stored = time.Date(2026, 3, 1, 9, 30, seconds, 0, time.UTC)
	return e
}

// run is what is next of an ordering key.
func run(t *testing.T, s *Spool, order string) (got []string) {
	t.Helper()
	runs, err := s.Runs(visit.RootEvent, 100, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, items := range runs {
		if items[0].Order == order {
			got = ids(items)
		}
	}
	return got
}

// The clock may have stepped between what came first and what came later.
func TestPutAhead_ComesBeforeWhatWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	put(t, s, at("a", "a4", 4), at("b", "b1", 1), at("a", "a5", 3605), at("b", "b9", 9), at("a", "a6", -3600))
	for _, entries := range [][]Entry{{at("a", "a2", 3600), at("a", "a3", 2)}, {at("a", "a1", 7)}, {at("c", "c1", 1)}} {
		if err := s.PutAhead(t.Context(), entries...); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got, want := run(t, s, "a"), []string{"a1", "a2", "a3", "a4", "a5", "a6"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if got := run(t, s, "b"); !slices.Equal(got, []string{"b1", "b9"}) {
			t.Errorf("of another key: %v", got)
		}
		if n, _ := s.Usage(); n != 9 {
			t.Errorf("%d entries", n)
		}
		closed(t, s)
		s = openAt(t, dir)
	}
}

func TestPutAhead_LeavesAllAsItWasWithoutRoom(t *testing.T) {
	t.Parallel()
	s := openWith(t, Config{Dir: t.TempDir(), MaxBytes: 2000})
	put(t, s, at("a", "a5", 5), at("a", "a6", 6))
	first, second := at("a", "a1", 1), at("a", "a2", 2)
	second.Message.Data = make([]byte, 1000)
	if err := s.PutAhead(t.Context(), first, second); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	if got := run(t, s, "a"); !slices.Equal(got, []string{"a5", "a6"}) {
		t.Errorf("%v", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.PutAhead(ended, first); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := run(t, s, "a"); !slices.Equal(got, []string{"a5", "a6"}) {
		t.Errorf("%v", got)
	}
}
