package doors

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestMemory_IsBoundedWhateverComes(t *testing.T) {
	s := newSite()
	feed := func(round int) {
		for i := range 1000 {
			s.Record(&visit.Record{
				Site: "hq", Integration: fmt.Sprint("door-", i), Received: noon.Add(-time.Duration(round) * time.Minute), Situation: "decided",
				Votes: []visit.Vote{{Decider: fmt.Sprint("decider-", round), Situation: "decided"}},
			})
		}
	}
	for round := range 100 {
		feed(round)
	}
	before := heap()
	for round := range 100 {
		feed(100 + round)
	}
	if after := heap(); after > before+2<<20 || after > 60<<20 {
		t.Errorf("a thousand doors take %d KiB, and then %d KiB", before>>10, after>>10)
	}
	for i := range 2 * MaxDoors {
		s.Record(&visit.Record{Site: "hq", Integration: fmt.Sprint("many-", i), Received: noon, Situation: "decided"})
	}
	if v := s.View(func(string) bool { return true }); len(v.Doors) != MaxDoors || !v.Omitted {
		t.Errorf("%d doors, omitted: %v", len(v.Doors), v.Omitted)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkView_OfAThousandDoors(b *testing.B) {
	s := newSite()
	for i := range 1000 {
		s.Record(&visit.Record{Site: "hq", Integration: fmt.Sprint("door-", i), Received: noon, Situation: "decided"})
	}
	s.readable()
	for b.Loop() {
		s.View(func(string) bool { return true })
	}
}
