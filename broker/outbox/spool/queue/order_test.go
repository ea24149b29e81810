package queue

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestRuns_ManyKeysComeOldestFirst(t *testing.T) {
	t.Parallel()
	q := New(math.MaxInt64)
	for i := range 1000 {
		q.Add(&Record{Sequence: uint64(i + 1), Size: 8, Key: Key{Order: fmt.Sprint(i * 7919 % 500)}})
	}
	for gone := range 900 {
		var want [][]uint64
		seen := map[string]bool{}
		for _, sequence := range q.Sequences() {
			if r := q.Record(sequence); !seen[r.Order] && len(want) < 20 {
				seen[r.Order] = true
				want = append(want, []uint64{sequence})
			}
		}
		if got := q.Runs("", 20, 1, math.MaxInt64); !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("after %d: %v, want %v", gone, got, want)
		}
		q.Remove(uint64(gone*7%1000 + 1))
	}
}

// A site that NATS refuses may have a hundred thousand visits in the spool. To look
// past them took 80 ms each time, with the spool locked.
func TestPark_ParkedKeysCostNothing(t *testing.T) {
	q := New(math.MaxInt64)
	for i := range 100_000 {
		key := Key{visit.RootEvent, fmt.Sprint("stuck-", i)}
		q.Add(&Record{Sequence: uint64(i + 1), Size: 8, Key: key})
		q.Park(key)
	}
	q.Add(&Record{Sequence: 1 << 20, Size: 8, Key: Key{visit.RootEvent, "free"}})
	began := time.Now()
	for range 1000 {
		if next := q.Runs(visit.RootEvent, 32, 1024, math.MaxInt64); len(next) != 1 || next[0][0] != 1<<20 {
			t.Fatal(next)
		}
	}
	if took := time.Since(began); took > 5*time.Second { // a few milliseconds
		t.Errorf("1000 looks took %s", took)
	}
}
