package desk

import (
	"net/http"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestActionLimiter_AUserMayDoSomethingSoOftenAndThenAgain(t *testing.T) {
	l := newActionLimiter()
	now, limits := time.Now(), actionLimits[visit.ActionExport]
	for i := range limits.Burst {
		if wait := l.take("vera", visit.ActionExport, now); wait != 0 {
			t.Fatalf("the export %d has to wait %v", i+1, wait)
		}
	}
	if wait := l.take("vera", visit.ActionExport, now).Round(time.Millisecond); wait != limits.Refill {
		t.Errorf("one more has to wait %v", wait)
	}
	for name, wait := range map[string]time.Duration{
		"another user":         l.take("rita", visit.ActionExport, now),
		"another action":       l.take("vera", visit.ActionReveal, now),
		"an order":             l.take("vera", visit.ActionLockdown, now),
		"the same, when it is": l.take("vera", visit.ActionExport, now.Add(limits.Refill)),
	} {
		if wait != 0 {
			t.Errorf("%s has to wait %v", name, wait)
		}
	}
	if wait := l.take("vera", visit.ActionExport, now.Add(limits.Refill)).Round(time.Millisecond); wait != limits.Refill {
		t.Errorf("the next has to wait %v", wait)
	}
}

// A user who asks again and again must not fill the stream of the audit for all.
func TestActs_TooOftenAreRefusedWithoutARecord(t *testing.T) {
	for action, c := range map[visit.Action]struct {
		path string
		form []string
	}{
		visit.ActionExport: {"/decisions.csv", nil},
		visit.ActionReveal: {"/visit/reveal", []string{"site", "hq", "event", "", "at", "1"}},
		visit.ActionSource: {"/visit/source", []string{"site", "hq", "event", "", "at", "1"}},
		visit.ActionTry:    {"/try", []string{"integration", "lobby-hq", "step", "check-in-request"}},
	} {
		t.Run(string(action), func(t *testing.T) {
			b := stored()
			f := newTryFixture(t, b)
			f.read(t)
			if len(c.form) > 3 && c.form[2] == "event" {
				c.form[3] = b.events[0].ID
			}
			now := time.Now()
			for range actionLimits[action].Burst {
				f.limits.take("otto", action, now)
			}
			a := f.post(t, "otto", c.path, c.form...)
			if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || len(b.audited()) != 0 {
				t.Errorf("it got %d, the records are %+v", a.status, b.audited())
			}
			if a := f.post(t, "olga", c.path, c.form...); a.status != http.StatusOK || len(b.audited()) != 1 {
				t.Errorf("another user got %d, the records are %+v", a.status, b.audited())
			}
		})
	}
}
