package publish

import (
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/wait"
)

// Those who were answered come again at once: were the next batch not to wait for them,
// every caller would be in each second batch only.
func TestGroup_NextBatchWaitsForTheCallersOfTheLastOne(t *testing.T) {
	t.Parallel()
	g := newGroup("", nil, nil)
	g.holding = 1
	g.enter(member{id: "came meanwhile"})
	gathered := make(chan struct{})
	go func() { g.gather(2, time.Hour); close(gathered) }()
	wait.Until(t, "it waits for them", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.wanted == 3 })
	g.enter(member{id: "again"})
	g.enter(member{id: "again, too"})
	<-gathered
	if n := len(g.waiting); n != 3 {
		t.Errorf("%d wait", n)
	}
}

func TestGroup_NextBatchLeavesWithoutThoseWhoDoNotComeAgain(t *testing.T) {
	t.Parallel()
	g := newGroup("", nil, nil)
	g.holding = 1
	g.gather(2, time.Millisecond)
	for range 3 { // nobody hears of them any more
		g.enter(member{})
	}
	if len(g.waiting) != 3 || g.wanted != 0 || len(g.gathered) != 0 {
		t.Errorf("%d wait, %d are wanted, and %d tokens are there", len(g.waiting), g.wanted, len(g.gathered))
	}
}

func TestGroup_FullBatchWaitsForNobody(t *testing.T) {
	t.Parallel()
	g := newGroup("", nil, nil)
	g.holding, g.limit = 1, minBatch
	for range minBatch {
		g.enter(member{})
	}
	g.gather(1, time.Hour)
}
