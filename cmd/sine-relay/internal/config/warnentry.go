package config

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// warnOfEntry notes what an entry of the file says and nothing comes of.
func (s *Settings) warnOfEntry(e fileEntry, shown relay.Capture, c choices) {
	p := e.place
	p.faults = &s.Warnings
	if e.Capture != (capture{}) && shown.Until.Before(time.Now()) {
		p.add("capture.until", "is in the past, and nothing is shown: set a later time, or take capture out")
	}
	if len(c.events) == 0 || slices.Contains(c.events, visit.KindCheckInRequest) {
		return
	}
	for _, field := range e.forDeciders() {
		p.add(field, "has no effect, since events says that Sine sends no check-in request")
	}
}

// forDeciders are the fields given that are about check-in requests alone.
func (o options) forDeciders() (given []string) {
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"decider", o.Decider != ""}, {"deciders", o.Deciders != nil}, {"combine", o.Combine != ""}, {"decisionBudget", o.DecisionBudget != ""},
		{"rejectBy", o.RejectBy != ""}, {"rejectText", o.RejectText != ""}, {"fallbacks", len(o.Fallbacks) > 0},
	} {
		if field.given {
			given = append(given, field.name)
		}
	}
	return given
}

// warnOfAssumedSites: where others name their site, one that does not was probably
// forgotten. Its own name is then the site, and nobody may decide or listen there.
func (s *Settings) warnOfAssumedSites() {
	named := map[string]bool{}
	for _, e := range s.Entries {
		if !e.assumedSite && e.Where != Prefix+"KEYS" {
			named[e.Site] = true
		}
	}
	for _, e := range s.Entries {
		if e.assumedSite && len(named) > 0 && !named[e.Site] {
			e.warn(&s.Warnings, "names no site, so that its own name is the site, with deciders and subscribers of its own; write site, also where that is meant")
		}
	}
}

// shortBudget is one in which hardly anybody across a network does anything.
const shortBudget = 100 * time.Millisecond

// warnOfUnusualDurations: what is a thousand times too short or too long is a slip
// of the unit.
func (s *Settings) warnOfUnusualDurations() {
	const day = 24 * time.Hour
	for _, d := range []struct {
		name               string
		value, least, most time.Duration
	}{
		{"DECISION_BUDGET", s.DecisionBudget, shortBudget, time.Minute},
		{"STORE_BUDGET", s.StoreBudget, shortBudget, time.Minute},
		{"READ_TIMEOUT", s.ReadTimeout, shortBudget, 5 * time.Minute},
		{"WRITE_TIMEOUT", s.WriteTimeout, 0, 10 * time.Minute},
		{"IDLE_TIMEOUT", s.IdleTimeout, time.Second, day},
		{"DRAIN_DELAY", s.DrainDelay, 0, 10 * time.Minute},
		{"SHUTDOWN_TIMEOUT", s.ShutdownTimeout, shortBudget, 10 * time.Minute},
		{"ORDERS_MAX_AGE", s.OrdersMaxAge, 0, time.Hour},
		{"OVERRIDE_MAX_DURATION", s.OverrideMax, time.Minute, 31 * day},
		{"SPOOL_MAX_AGE", s.SpoolMaxAge, time.Second, 400 * day},
		{"STREAM_DEDUPE_WINDOW", s.DedupeWindow, time.Minute, 31 * day},
	} {
		switch {
		case d.value <= 0: // a fault of its own, or meant
		case d.value < d.least:
			s.Warnings.setting(d.name, "%s is unusually short: less than %s", d.value, d.least)
		case d.value > d.most:
			s.Warnings.setting(d.name, "%s is unusually long: more than %s", d.value, d.most)
		}
	}
}
