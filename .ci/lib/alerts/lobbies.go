package main

import (
	"slices"
	"time"
)

// Sites are named here for the situation that they are in.

// ofLobbies are those in which it matters how much is wrong at a site, for how long,
// and what excuses it.
func ofLobbies() []check {
	return []check{fallbacks(), unanswered(), subscribers(), wrongKeys(), dead(), once()}
}

// lobbies are sites without visitors, beside a great one that keeps the few failures
// of these within the budget of check-ins.
func lobbies(length minute, names ...string) *world {
	w := newWorld(time.Minute, length)
	w.counter("sine_relay_webhooks_total", lobby("relay-0", "great").with(asked("accepted")), always(2000))
	for _, pod := range headquarters.pods {
		w.gauge("sine_relay_deciders_known", headquarters.labels(pod), always(1))
		for _, name := range names {
			w.well(lobby(pod, name), always(0))
		}
	}
	return w
}

func lobby(pod, name string) labels {
	return headquarters.labels(pod).with(labels{"integration": name})
}

func asked(result string) labels {
	return labels{"kind": "check_in_request", "result": result}
}

// namedAt is an alert of each of these sites.
func namedAt(alert string, sites ...string) (all []string) {
	for _, site := range sites {
		all = append(all, named(alert, labels{"integration": site, "site": "hq"}))
	}
	return all
}

// fallbacks: two within ten minutes, whichever relay answered and whatever the reason,
// and no decision. The alert outlives its condition by five minutes, here until 53.
func fallbacks() check {
	reasons := []string{"no_decider", "timeout", "disconnected", "denied", "bad_reply", "overloaded", "incomplete"}
	sick := append([]string{"at both relays", "decided about before"}, reasons...)
	w := lobbies(90, append(sick, "only one", "far apart", "one accepted", "one rejected")...)
	ask := func(pod, site, result string, at ...minute) {
		w.calls("sine_relay_webhooks_total", lobby(pod, site).with(asked(result)), at...)
	}
	for _, reason := range reasons {
		ask("relay-1", reason, reason, 40, 47)
	}
	ask("relay-0", "at both relays", "timeout", 40)
	ask("relay-1", "at both relays", "timeout", 47)
	ask("relay-0", "decided about before", "timeout", 40, 47)
	ask("relay-0", "decided about before", "accepted", 24, 26)
	ask("relay-0", "only one", "timeout", 40)
	ask("relay-0", "far apart", "timeout", 40, 55)
	for _, decision := range []string{"accepted", "rejected"} {
		ask("relay-0", "one "+decision, "timeout", 40, 42, 44, 46)
		ask("relay-1", "one "+decision, decision, 39, 45)
	}
	fires := namedAt("CheckInsByFallback", sick...)
	return check{name: "lobbies with few visitors have fallbacks", world: w, fires: fires, also: []moment{{51, fires}, {60, nil}}}
}

// subscribers decide and are no micro services, so that none is ever counted: all is
// well there in a quiet hour, until a question fails.
func subscribers() check {
	w := lobbies(190, "quiet", "answers", "stops", "answers again")
	for _, pod := range headquarters.pods {
		for _, site := range []string{"quiet", "answers", "stops", "answers again"} {
			w.gauge("sine_relay_deciders", lobby(pod, site).with(labels{"decider": "watchlist"}), always(0))
		}
	}
	asked := func(site, result string, at ...minute) {
		w.calls("sine_relay_decider_requests_total", lobby("relay-1", site).with(labels{"decider": "watchlist", "result": result}), at...)
	}
	asked("answers", "decided", 5, 60)
	asked("stops", "decided", 5)
	asked("stops", "timeout", 80)
	asked("answers again", "decided", 5, 100)
	asked("answers again", "no_decider", 80)
	of := func(site string) string {
		return named("NoDecider", labels{"integration": site, "decider": "watchlist", "site": "hq"})
	}
	return check{name: "deciders are plain subscribers", world: w, fires: []string{of("stops"), of("answers again")}, also: []moment{
		{84, nil}, {86, []string{of("stops"), of("answers again")}}, {101, []string{of("stops")}}, {139, []string{of("stops")}}, {150, nil},
	}}
}

// unanswered: nobody is known who would answer, and nobody did within fifteen minutes.
func unanswered() check {
	w := lobbies(110, "never there", "nobody", "nobody any more", "questions without an answer", "answered after all", "known to one relay", "away for four minutes")
	for _, pod := range headquarters.pods {
		decides := func(site, decider string, known, answers func(minute) float64) {
			l := lobby(pod, site).with(labels{"decider": decider})
			w.gauge("sine_relay_deciders", l, known)
			w.counter("sine_relay_decider_requests_total", l.with(labels{"result": "decided"}), answers)
		}
		gone := between(30, 75, 0, 2)
		decides("never there", "watchlist", always(0), always(0))
		decides("nobody", "watchlist", gone, always(0))
		decides("nobody", "hosts", always(1), always(0.4))
		decides("nobody any more", "watchlist", gone, between(30, 75, 0, 0.4))
		decides("questions without an answer", "watchlist", gone, always(0))
		w.counter("sine_relay_decider_requests_total", lobby(pod, "questions without an answer").with(labels{"decider": "watchlist", "result": "timeout"}), always(0.4))
		decides("answered after all", "watchlist", always(0), always(0))
		decides("away for four minutes", "watchlist", between(30, 34, 0, 2), always(0))
	}
	w.calls("sine_relay_decider_requests_total", lobby("relay-1", "answered after all").with(labels{"decider": "watchlist", "result": "decided"}), every(10, 1, 11)...)
	w.gauge("sine_relay_deciders", lobby("relay-1", "known to one relay").with(labels{"decider": "watchlist"}), always(0))
	for n, pod := range headquarters.pods {
		for known, name := range []string{"none-can-count", "one-can-count"} {
			l := installation{namespace: name}.labels(pod)
			w.gauge("sine_relay_deciders_known", l, always(float64(n*known)))
			w.gauge("sine_relay_deciders", l.with(labels{"integration": "nobody", "decider": "watchlist"}), always(0))
		}
	}
	of := func(site string) string {
		return named("NoDecider", labels{"integration": site, "decider": "watchlist", "site": "hq"})
	}
	// Where one relay cannot count, it is not known who decides, and no more is said.
	unknown := append(eachOf("DecidersUnknown", "none-can-count", headquarters.pods...), eachOf("DecidersUnknown", "one-can-count", "relay-0")...)
	early := slices.Concat(unknown, []string{of("nobody"), of("questions without an answer")})
	all := slices.Concat(early, []string{of("nobody any more")})
	return check{name: "programs that decide come and go", world: w, fires: all, still: unknown, also: []moment{{34, unknown}, {40, early}, {60, all}}}
}

// dead: three minutes after the last good call, whatever was before, a lobby that all
// calls fail of is known by its name and by its site.
func dead() check {
	w := lobbies(90, "nobody decides", "one of two fails", "locked out", "another's keys")
	for _, pod := range headquarters.pods {
		busy := func(site, series string, l labels, rate func(minute) float64) {
			w.counter(series, lobby(pod, site).with(l), rate)
		}
		const webhooks, rejected = "sine_relay_webhooks_total", "sine_relay_webhooks_refused_total"
		wrong := labels{"reason": "wrong_key"}
		busy("nobody decides", webhooks, asked("accepted"), between(30, 60, 0, 1))
		busy("nobody decides", webhooks, asked("client_disconnected"), between(30, 60, 1, 0))
		busy("one of two fails", webhooks, asked("accepted"), always(1))
		busy("one of two fails", webhooks, asked("timeout"), between(30, 60, 1, 0))
		busy("locked out", webhooks, asked("accepted"), between(30, 60, 0, 1))
		busy("locked out", webhooks, labels{"kind": "checked_in", "result": "stored"}, between(30, 60, 0, 1))
		busy("locked out", rejected, wrong, between(30, 60, 1, 0))
		busy("another's keys", rejected, wrong, always(1))
	}
	w.calls("sine_relay_webhooks_total", lobby("relay-0", "another's keys").with(asked("accepted")), every(10, 1, 9)...)
	keys := namedAt("WrongAPIKey", "another's keys")
	fires := slices.Concat(keys, namedAt("CheckInsByFallback", "nobody decides"), namedAt("IntegrationUnauthorized", "locked out"), namedAt("WrongAPIKey", "locked out"))
	return check{name: "every call of a busy lobby fails", world: w, at: 33, fires: fires, also: []moment{{29, keys}, {45, fires}}, still: keys}
}
