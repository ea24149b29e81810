package logthrottle

import (
	"testing"
	"time"
)

func TestDue_CountsSinceTheLastLogLine(t *testing.T) {
	throttle, now := New(time.Hour), time.Now()
	for _, step := range []struct {
		key  string
		wait time.Duration
		want int
	}{
		{"a", 0, 1}, {"a", 0, 0}, {"a", 59 * time.Minute, 0}, {"b", 0, 1}, {"a", time.Minute, 3}, {"a", time.Hour, 1}, {"b", 0, 1},
	} {
		now = now.Add(step.wait)
		if got := throttle.Due(step.key, now); got != step.want {
			t.Errorf("%s: %d, want %d", step.key, got, step.want)
		}
	}
}
