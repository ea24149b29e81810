package main

import (
	"fmt"
	"time"
)

// atOneSite are those in which one lobby is sick among forty.
func atOneSite() []check {
	undecided := morning(190)
	for _, pod := range headquarters.pods {
		l := headquarters.labels(pod).with(atSick)
		undecided.site(l, between(30, 60, 0, 0.4))
		undecided.counter("sine_relay_webhooks_total", l.with(labels{"event": "check_in_request", "outcome": "timeout"}), between(30, 60, 0.4, 0))
		undecided.counter("sine_relay_webhooks_total", l.with(labels{"event": "checked_in", "outcome": "stored"}), always(0.4))
	}
	alone := morning(140)
	for _, pod := range headquarters.pods {
		l := headquarters.labels(pod).with(atSick)
		alone.gauge("sine_relay_deciders", l.with(labels{"decider": "watchlist"}), between(30, 110, 0, 2))
		alone.counter("sine_relay_asks_total", l.with(labels{"decider": "watchlist", "outcome": "decided"}), between(30, 110, 0, 0.4))
	}
	wrong := morning(140)
	locked := morning(140)
	addressed := morning(140)
	for _, pod := range headquarters.pods {
		l := headquarters.labels(pod).with(atSick)
		wrong.counter("sine_relay_webhooks_rejected_total", l.with(labels{"reason": "wrong_key"}), between(30, 60, 0.4, 0))
		locked.site(l, between(30, 60, 0, 0.4))
		locked.counter("sine_relay_webhooks_total", l.with(labels{"event": "check_in_request", "outcome": "unasked"}), between(30, 60, 0, 0.1))
		locked.counter("sine_relay_webhooks_rejected_total", l.with(labels{"reason": "missing_key"}), between(30, 60, 0.4, 0))
		addressed.site(l, between(30, 60, 0, 0.4))
		addressed.counter("sine_relay_webhooks_total", l.with(labels{"event": "check_in_request", "outcome": "unasked"}), between(30, 60, 0, 0.1))
		addressed.counter("sine_relay_webhooks_rejected_total", l.with(labels{"reason": "address"}), between(30, 60, 0.4, 0))
	}
	single := func(series string, more labels, rate float64) *world {
		w := morning(140)
		w.counter(series, headquarters.labels("relay-1").with(atSick).with(more), between(30, 60, rate, 0))
		return w
	}
	return []check{
		// A fortieth of the traffic is more than the budget, too.
		{name: "nobody decides at one site", world: undecided, at: 59, fires: []string{named("CheckInsByFallback", atSick), named("DoorBudgetBurns", nil)}},
		{name: "no program answers for one site", world: alone, at: 100, fires: []string{named("NobodyAnswers", atSick.with(labels{"decider": "watchlist"}))}},
		{name: "one site has a wrong key, and another that is right", world: wrong, at: 50, fires: []string{named("WrongKey", atSick)}},
		{name: "one site has no key", world: locked, at: 50, fires: []string{named("WrongKey", atSick), named("LockedOut", atSick)}},
		{name: "one site calls from elsewhere", world: addressed, at: 50, fires: []string{named("LockedOut", atSick)}},
		{name: "facts of one site are refused", world: single("sine_relay_facts_settled_total", labels{"result": "refused"}, 0.2), at: 50, fires: []string{named("FactsRefused", atSick)}},
		{name: "bodies of one site are not understood", world: single("sine_relay_webhooks_total", labels{"event": "checked_in", "outcome": "quarantined"}, 0.1), at: 50, fires: []string{named("QuarantineGrows", atSick)}},
		{name: "bodies of one site are too large", world: single("sine_relay_webhooks_total", labels{"event": "checked_in", "outcome": "too_large"}, 0.1), at: 50, fires: []string{named("TooLarge", atSick)}},
		aWeekLater(),
	}
}

// aWeekLater is what silence is measured by. In the same week the spool of a relay that
// went is remembered, and then no more.
func aWeekLater() check {
	w := silent()
	const nine = 9 * 60
	monday := minute(7 * 24 * 60)
	calls := func(pod, site string, at ...minute) {
		w.calls("sine_relay_webhooks_total", lobby(pod, site).with(labels{"event": "checked_in", "outcome": "stored"}), at...)
	}
	quiet := []string{"had nine calls", "had its calls in the night", "has a call now and then", "has had its calls until just now"}
	for _, site := range append(quiet, "had twelve calls", "had calls this night") {
		calls("relay-0", site)
		calls("relay-1", site)
	}
	calls("relay-0", "had nine calls", every(10, nine-110, 9)...)
	calls("relay-0", "had twelve calls", every(10, nine-110, 6)...)
	calls("relay-1", "had twelve calls", every(10, nine-110, 6)...)
	calls("relay-0", "had its calls in the night", every(5, 60, 40)...)
	calls("relay-0", "has a call now and then", append(every(5, nine-115, 23), monday+nine-60)...)
	calls("relay-0", "has had its calls until just now", every(5, nine-55, 11)...)
	calls("relay-0", "had calls this night", append(every(5, nine-115, 23), every(5, monday+4*60, 12)...)...)
	w.gauge("sine_relay_spool_messages", headquarters.labels("relay-9"), between(120, w.length+1, absent, 3))
	silent := append(namedAt("IntegrationSilent", "had twelve calls", "had calls this night"), named("IntegrationSilent", atSick))
	left := named("SpoolLeftBehind", labels{"pod": "relay-9"})
	return check{
		name: "some sites are silent on a Monday", world: w, at: monday + nine, fires: silent,
		also: []moment{{monday - 24*60, []string{left}}},
	}
}

// silent is a week and a half of office hours, seen every five minutes. On the
// second Monday one site begins late.
func silent() *world {
	w := newWorld(5*time.Minute, 7*24*60+13*60)
	for n := range sites {
		hours := func(m minute) float64 {
			day := int(m) / (24 * 60)
			hour := int(m) / 60 % 24
			switch late := n == 7 && day == 7 && hour < 11; {
			case late, hour < 6, hour >= 18, day%7 >= 5:
				return 0
			}
			return 0.4
		}
		w.counter("sine_relay_webhooks_total", headquarters.labels("relay-0").with(labels{"integration": fmt.Sprintf("site-%02d", n), "event": "checked_in", "outcome": "stored"}), hours)
	}
	return w
}
