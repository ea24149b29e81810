package main

import (
	"fmt"
	"slices"
	"time"
)

// atOneSite are those in which one lobby, or a few, are sick among forty.
func atOneSite() []check {
	undecided := morning(190)
	for _, pod := range headquarters.pods {
		l := headquarters.labels(pod).with(atSick)
		undecided.site(l, between(30, 60, 0, 0.4))
		undecided.counter("sine_relay_webhooks_total", l.with(labels{"kind": "check_in_request", "result": "timeout"}), between(30, 60, 0.4, 0))
		undecided.counter("sine_relay_webhooks_total", l.with(labels{"kind": "checked_in", "result": "stored"}), always(0.4))
	}
	alone := morning(140)
	for _, pod := range headquarters.pods {
		l := headquarters.labels(pod).with(atSick)
		alone.gauge("sine_relay_deciders", l.with(labels{"decider": "watchlist"}), between(30, 110, 0, 2))
		alone.counter("sine_relay_decider_requests_total", l.with(labels{"decider": "watchlist", "result": "decided"}), between(30, 110, 0, 0.4))
	}
	drifting := morning(140)
	company := atSick.with(labels{"kind": "checked_in", "field": "company"})
	for n, pod := range headquarters.pods { // one relay hears it before the other
		drifting.gauge("sine_relay_field_drift", headquarters.labels(pod).with(company), between(minute(30+5*n), 60, 1, absent))
	}
	return []check{
		// A fortieth of the traffic is more than the budget, too.
		{name: "nobody decides at one site", world: undecided, at: 59, fires: []string{named("CheckInsByFallback", sickHQ), named("CheckInErrorBudgetBurn", nil)}},
		{name: "no program answers for one site", world: alone, at: 100, fires: []string{named("NoDecider", sickHQ.with(labels{"decider": "watchlist"}))}},
		{name: "a field of one site is renamed", world: drifting, at: 31, fires: []string{named("FieldsDrift", company.with(sickHQ))}, also: []moment{{29, nil}, {50, []string{named("FieldsDrift", company.with(sickHQ))}}, {66, nil}}},
		unauthorized(),
		eachInItsWay(),
		aWeekLater(),
	}
}

// unauthorized is sites of which no call is accepted for half an hour, each for a reason of
// its own, and one that has a wrong key beside one that is right.
func unauthorized() check {
	w := morning(140)
	// Else there are two minutes without any call that is accepted.
	w.well(lobby("relay-0", "busy"), always(1))
	for _, pod := range headquarters.pods {
		refused := func(site, reason string) {
			w.counter("sine_relay_webhooks_refused_total", lobby(pod, site).with(labels{"reason": reason}), between(30, 60, 0.4, 0))
		}
		w.site(lobby(pod, "wrong-key"), always(0.4))
		refused("wrong-key", "wrong_key")
		for site, reason := range map[string]string{"no-key": "missing_key", "elsewhere": "address", "broken": "integration_invalid"} {
			w.site(lobby(pod, site), between(30, 60, 0, 0.4))
			w.counter("sine_relay_webhooks_total", lobby(pod, site).with(asked("unasked")), between(30, 60, 0, 0.1))
			refused(site, reason)
		}
		w.gauge("sine_relay_integration_invalid", lobby(pod, "broken"), between(30, 60, 1, 0))
		w.gauge("sine_relay_integration_api_keys", lobby(pod, "broken"), between(30, 60, 0, 2))
	}
	return check{
		name: "calls of several sites are not authorized", world: w, at: 50,
		fires: append(namedAt("WrongAPIKey", "wrong-key", "no-key"), namedAt("IntegrationUnauthorized", "no-key", "elsewhere", "broken")...),
	}
}

// eachInItsWay is several sites that are sick at the same time, for what concerns one of
// them alone.
func eachInItsWay() check {
	w := morning(140)
	var fires []string
	for site, way := range map[string]struct {
		series string
		labels labels
		rate   float64
		alert  string
	}{
		"by-http":        {"sine_relay_webhooks_plain_http_total", nil, 0.2, "PlainHTTP"},
		"refused":        {"sine_relay_events_settled_total", labels{"result": "refused"}, 0.2, "EventsRefused"},
		"not-understood": {"sine_relay_webhooks_total", labels{"kind": "checked_in", "result": "quarantined"}, 0.1, "QuarantineGrows"},
		"too-large":      {"sine_relay_webhooks_total", labels{"kind": "checked_in", "result": "too_large"}, 0.1, "BodyTooLarge"},
		"nobody":         {"sine_relay_webhooks_incomplete_total", nil, 0.1, "VisitorMissing"},
		"behind-a-proxy": {"sine_relay_webhooks_without_client_address_total", nil, 0.2, ""},
	} {
		for _, pod := range headquarters.pods {
			w.site(lobby(pod, site), always(0.4))
		}
		w.counter(way.series, lobby("relay-1", site).with(way.labels), between(30, 60, way.rate, 0))
		if way.alert != "" {
			fires = append(fires, namedAt(way.alert, site)...)
		}
	}
	fires = append(fires, named("ClientAddressMissing", nil)) // the proxy is that of all sites
	return check{name: "each of several sites is sick in its own way", world: w, at: 50, fires: fires}
}

// aWeekLater is what silence is measured by, and for how long it is remembered who was
// there: a relay that went and left its spool, and relays that are down for days.
func aWeekLater() check {
	w := silent()
	const monday, hour = minute(7 * 24 * 60), minute(60)
	silences := w.silences(monday + 9*hour)
	for _, pod := range []string{"relay-9", ""} {
		l := headquarters.labels("relay-9").with(labels{"pod": pod})
		w.gauge("sine_relay_spool_messages", l, between(2*hour, w.length+1, absent, 3))
	}
	w.relays("down", "up", nil, between(10*hour, monday+10*hour, 0, 1))
	w.relays("down", "sine_relay_build_info", nil, between(10*hour, monday+10*hour, absent, 1))
	down := []string{named("Down", labels{"namespace": "down"}), named("InstanceDown", installation{namespace: "down"}.labels("relay-0"))}
	left := []string{named("SpoolLeftBehind", labels{"pod": "relay-9"}), named("SpoolLeftBehind", labels{"instance": "10.0.0.9:9090"})}
	return check{
		name: "some sites are silent on a Monday, and some relays have been away for long", world: w,
		at: monday + 9*hour, fires: slices.Concat(silences, down), also: []moment{{monday - 24*hour, slices.Concat(down, left)}},
	}
}

// silences are sites with more than ten calls in the two hours until now a week ago, and
// none in these, and what only looks like it.
func (w *world) silences(now minute) []string {
	before := now - 7*24*60
	calls := func(pod, site string, at ...minute) {
		w.calls("sine_relay_webhooks_total", lobby(pod, site).with(labels{"kind": "checked_in", "result": "stored"}), at...)
	}
	silent := []string{"had twelve calls", "had calls this night"}
	for _, site := range append(silent, "had nine calls", "had its calls in the night", "has a call now and then", "has had its calls until just now") {
		calls("relay-0", site)
		calls("relay-1", site)
	}
	calls("relay-0", "had twelve calls", every(10, before-110, 6)...)
	calls("relay-1", "had twelve calls", every(10, before-110, 6)...)
	calls("relay-0", "had nine calls", every(10, before-110, 9)...)
	calls("relay-0", "had its calls in the night", every(5, 60, 40)...)
	calls("relay-0", "had calls this night", append(every(5, before-115, 23), every(5, now-5*60, 12)...)...)
	calls("relay-0", "has a call now and then", append(every(5, before-115, 23), now-60)...)
	calls("relay-0", "has had its calls until just now", every(5, before-55, 11)...)
	var silences []string
	for _, site := range silent {
		silences = append(silences, named("IntegrationSilent", labels{"integration": site, "site": "unknown"}))
	}
	return append(silences, named("IntegrationSilent", atSick.with(labels{"site": "unknown"})))
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
		w.counter("sine_relay_webhooks_total", headquarters.labels("relay-0").with(labels{"integration": fmt.Sprintf("site-%02d", n), "kind": "checked_in", "result": "stored"}), hours)
	}
	return w
}
