package drift

import (
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// BenchmarkObserve is what a delivery costs whose keys are known.
func BenchmarkObserve(b *testing.B) {
	start := time.Now()
	w, l := New(start), newLobby(3)
	bodies := make([]body, 64)
	for i := range bodies {
		bodies[i] = l.next(false, nil)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		bodies[n%len(bodies)].observe(w, visit.KindCheckedIn, start.Add(time.Duration(n)*time.Second))
	}
}
