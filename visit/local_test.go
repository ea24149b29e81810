package visit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestTheTimeByTheClockOfTheSite(t *testing.T) {
	// As Sine writes it: in UTC.
	written := time.Date(2026, 11, 18, 21, 42, 31, 0, time.UTC)
	for _, c := range []struct{ zone, want string }{
		{"Australia/Adelaide", "Thu 2026-11-19 08:12"},
		{"America/Los_Angeles", "Wed 2026-11-18 13:42"},
		{"UTC", "Wed 2026-11-18 21:42"},
	} {
		o := visit.Origin{Time: written, TimeZone: c.zone}
		got, err := o.LocalTime()
		if err != nil || got.Format("Mon 2006-01-02 15:04") != c.want || !got.Equal(written) {
			t.Errorf("in %s it is %s, %v; want %s", c.zone, got, err, c.want)
		}
	}
}

// A decider that took UTC for the site's time would let people in at night.
func TestATimeZoneThatIsNotKnownIsNotUTC(t *testing.T) {
	if at, err := (visit.Origin{Time: time.Now()}).LocalTime(); !errors.Is(err, visit.ErrNoTimeZone) || !at.IsZero() {
		t.Errorf("without a time zone: %s, %v", at, err)
	}
	if at, err := (visit.Origin{Time: time.Now(), TimeZone: "Mars/Olympus"}).LocalTime(); err == nil || !at.IsZero() {
		t.Errorf("in an unknown time zone: %s, %v", at, err)
	}
}
