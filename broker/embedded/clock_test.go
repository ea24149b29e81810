package embedded_test

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

// clock is a wall clock that can be set.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) set(t time.Time) { c.ahead.Store(int64(time.Until(t))) }

// A machine without a battery begins with a clock of years ago: what is stored then is
// dropped as too old as soon as the clock is right.
func TestClock_BeforeTheBuildNothingIsStored(t *testing.T) {
	t.Parallel()
	var log logtest.Buffer
	var wrong clock
	wrong.set(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	s := start(t, embedded.Config{StoreDir: t.TempDir(), Now: wrong.now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	visitors(t, s) // others are served
	first := s.StoreFault("VISITORS")
	if first == nil || !strings.Contains(first.Error(), "2020-01-01") {
		t.Errorf("%v", first)
	}
	wrong.set(time.Date(2020, 1, 1, 9, 0, 0, 0, time.UTC))
	if later := s.StoreFault("VISITORS"); later == nil || later.Error() != first.Error() {
		t.Errorf("each time it is logged anew: %v", later)
	}
	if !strings.Contains(log.String(), "set the clock") {
		t.Errorf("the log does not say so: %s", log.String())
	}
	wrong.set(time.Now())
	if err := s.StoreFault("VISITORS"); err != nil {
		t.Error(err)
	}
}

// A clock that is behind the newest message may be right: then it was ahead when that
// was stored. It is waited for, and not for ever.
func TestClock_ThatMayBeBehindIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, embedded.Config{StoreDir: dir})
	if err := publish(t, visitors(t, first), "now"); err != nil {
		t.Fatal(err)
	}
	first.Shutdown()
	var doubtful clock
	doubtful.set(time.Now().Add(-48 * time.Hour))
	second := start(t, embedded.Config{StoreDir: dir, Now: doubtful.now})
	embedded.BuiltYearsAgo(second)
	if err := second.StoreFault("VISITORS"); err == nil || !strings.Contains(err.Error(), "newest message") {
		t.Errorf("%v", err)
	}
	embedded.ClockWasWaitedFor(second)
	if err := second.StoreFault("VISITORS"); err != nil {
		t.Errorf("after a wait: %v", err)
	}
	if second.ClockDoubt() == nil {
		t.Error("after a wait nobody is told")
	}
	doubtful.set(time.Now())
	if err := second.ClockDoubt(); err != nil {
		t.Errorf("once it is right: %v", err)
	}
}
