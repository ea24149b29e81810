package desk

import (
	"strings"
	"testing"

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
