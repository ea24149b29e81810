package desk

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/desk/live"
)

// How much happens at a site is shown to those who may see it.
func TestLive_WhatIsMissedAtOtherSitesIsNotCounted(t *testing.T) {
	b := stored()
	f := newFixture(t, b)
	f.read(t)
	f.live.Add(live.OfRecord(&b.records[0]))
	from := f.tokens.Of(1)
	plant := live.OfRecord(&b.records[0])
	plant.Site = "plant"
	for range live.Kept + 30 {
		f.live.Add(plant)
	}
	for who, c := range map[string]struct{ want, never string }{
		"vera": {"190 more arrived in the meantime", "perhaps at other sites"},
		"rita": {"perhaps at other sites", "more arrived in the meantime and"},
	} {
		if text := f.stream(t, who, "/events?of=live&after="+from, c.want); strings.Contains(text, c.never) {
			t.Errorf("%s is sent %s", who, text)
		}
	}
}

// What an entry looks like is kept for those to whom it looks the same.
func TestLive_EachIsShownWhatTheyMaySee(t *testing.T) {
	b := stored()
	now := atomic.Pointer[time.Time]{}
	checkedIn := b.events[0].Received
	now.Store(&checkedIn)
	f := newFixture(t, b, func(c *Config) { c.Now = func() time.Time { return *now.Load() } })
	f.read(t)
	f.happen(b.records[0], b.events[0])
	for range 2 { // so that each has looked after each other one
		for who, reveals := range map[string]int{"vera": 0, "rita": 1, "otto": 1, "olga": 1} {
			if text := f.get(t, who, "/live").text; strings.Count(text, "/visit/reveal") != reveals || strings.Count(text, `<li><time `) != 2 {
				t.Errorf("%s is shown %s", who, text)
			}
		}
	}
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	nextDay := checkedIn.Add(24 * time.Hour)
	for _, look := range []struct {
		at   time.Time
		want string
	}{{checkedIn, "15:04:05"}, {nextDay, "Mon 15:04"}, {checkedIn, "15:04:05"}} {
		now.Store(&look.at)
		if text := f.get(t, "vera", "/live").text; !strings.Contains(text, ">"+checkedIn.In(zone).Format(look.want)+"</time>") {
			t.Errorf("at %s the check-in is not shown as %s: %s", look.at, look.want, text)
		}
	}
}
