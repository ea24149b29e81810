package main

import "time"

// phase is how fast both error budgets burn from a moment on: 1 uses each up in
// exactly its month.
type phase struct {
	from  minute
	speed float64
}

// ofBudgets are those in which the error budgets burn, of check-ins and of events
// alike. The shorter window lets an alert clear while the longer one still burns, and the
// longer one lets it wait; in each the speed stays between a third and three times what
// the alert is for.
func ofBudgets() []check {
	return []check{
		{
			name: "the budgets burn for an hour", at: 88, fires: budgets("Fast", ""),
			world: burning(time.Minute, 520, phase{60, 40}, phase{115, 5.5}, phase{150, 0}),
			says: []text{
				{88, "CheckInErrorBudgetBurnFast", "critical", nil, "Too many check-in requests get no decision", "2.0 % of them over 1h, and 0.1 % may be. At this rate the error budget of 30 days lasts 1d 12h 32m 0s.", "lobby-cannot-check-in"},
				{88, "EventErrorBudgetBurnFast", "critical", nil, "Too many events are not stored within 2 s", "24.4 % of them over 1h, and 1 % may be. At this rate the error budget of 30 days lasts 1d 5h 32m 41s.", "events-are-late-or-refused"},
			},
			also: []moment{{75, nil}, {110, budgets("Fast", "")}, {120, budgets("")}, {135, budgets("", "Slow")}, {155, budgets("Slow")}},
		},
		{
			name: "the budgets burn for hours", at: 1100, fires: budgets("", "Slow", "Creeping"),
			world: burning(5*time.Minute, 2200, phase{600, 9}, phase{1400, 4}, phase{1600, 2}, phase{1800, 0.5}),
			also: []moment{
				{835, nil}, {925, budgets("", "Creeping")}, {1395, budgets("", "Slow", "Creeping")},
				{1440, budgets("Slow", "Creeping")}, {1720, budgets("Creeping")}, {2100, nil},
			},
		},
		{
			name: "the budgets burn for a day", at: 1850, fires: budgets("Slow", "Creeping"),
			world: burning(5*time.Minute, 2300, phase{600, 4}, phase{1900, 0}),
		},
		{
			name: "the budgets burn for days", at: 2300, fires: budgets("Creeping"),
			world: burning(5*time.Minute, 2900, phase{600, 1.5}, phase{2400, 0}),
		},
		fewAtOnce(), fewInDays(),
	}
}

// budgets are the alerts for both of them.
func budgets(speeds ...string) (all []string) {
	for _, speed := range speeds {
		all = append(all, named("CheckInErrorBudgetBurn"+speed, nil), named("EventErrorBudgetBurn"+speed, nil))
	}
	return all
}

// burning is a world of counters alone: seen so seldom, a gauge would be stale.
func burning(step time.Duration, length minute, phases ...phase) *world {
	w := newWorld(step, length)
	speed := func(m minute) (speed float64) {
		for _, p := range phases {
			if m >= p.from {
				speed = p.speed
			}
		}
		return speed
	}
	failing := func(all, budget float64) func(minute) float64 {
		return func(m minute) float64 { return all * speed(m) * budget / (1 - speed(m)*budget) }
	}
	for _, pod := range headquarters.pods {
		w.checkIns(headquarters.labels(pod), always(80))
		w.counter("sine_relay_webhooks_total", headquarters.labels(pod).with(labels{"integration": "site-00"}).with(asked("client_disconnected")), failing(160, 0.001))
		w.events(headquarters.labels(pod), always(10), failing(30, 0.01))
	}
	return w
}

// checkIns is a lobby in which so many are accepted, and as many rejected, and far more are
// what does not count.
func (w *world) checkIns(l labels, good func(minute) float64) {
	l = l.with(labels{"integration": "site-00"})
	for _, result := range []string{"accepted", "rejected"} {
		w.counter("sine_relay_webhooks_total", l.with(asked(result)), good)
	}
	for _, result := range []string{"unasked", "lockdown", "override"} {
		w.counter("sine_relay_webhooks_total", l.with(asked(result)), func(m minute) float64 { return 8 * good(m) })
	}
	w.counter("sine_relay_webhooks_total", l.with(labels{"kind": "checked_in", "result": "stored"}), func(m minute) float64 { return 8 * good(m) })
}

// events are so many of each kind that is in time, against those that fail, at once, or
// are stored late, half and half.
func (w *world) events(l labels, good, failing func(minute) float64) {
	half := func(m minute) float64 { return failing(m) / 2 }
	none := always(0)
	w.published(l.with(labels{"result": "stored"}), good, half)
	w.published(l.with(labels{"result": "duplicate"}), good, none)
	w.published(l.with(labels{"result": "spooled"}), good, none)
	w.published(l.with(labels{"result": "failed"}), half, none)
}

// published are those of one result, so many within two seconds and so many after
// them. The second relay writes its bounds as OpenMetrics does.
func (w *world) published(l labels, early, late func(minute) float64) {
	bound := map[string]string{"relay-0": "2", "relay-1": "2.0"}[l["pod"]]
	all := func(m minute) float64 { return early(m) + late(m) }
	w.counter("sine_relay_publish_duration_seconds_bucket", l.with(labels{"le": bound}), early)
	w.counter("sine_relay_publish_duration_seconds_bucket", l.with(labels{"le": "+Inf"}), all)
	w.counter("sine_relay_publish_duration_seconds_count", l, all)
}
