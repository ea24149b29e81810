package main

// wrongKeys: three wrong keys within fifteen minutes are a warning, and two calls that
// are not let in, if none is, an outage. Both outlive their condition by five minutes,
// here until 58.
func wrongKeys() check {
	busy := []string{"three wrong", "three missing", "two wrong", "two and two", "another address"}
	locked := []string{"locked out: wrong", "locked out: missing", "locked out: address", "locked out: at both relays", "locked out: let in before"}
	w := lobbies(100, append(append(busy, locked...), "one wrong", "far apart", "one let in")...)
	reject := func(pod, site, reason string, at ...minute) {
		w.calls("sine_relay_webhooks_rejected_total", lobby(pod, site).with(labels{"reason": reason}), at...)
	}
	for _, site := range busy {
		w.counter("sine_relay_webhooks_total", lobby("relay-0", site).with(asked("accepted")), always(0.4))
	}
	reject("relay-0", "three wrong", "wrong_key", 40, 50)
	reject("relay-1", "three wrong", "wrong_key", 44)
	reject("relay-0", "three missing", "missing_key", 40, 44, 50)
	reject("relay-0", "two wrong", "wrong_key", 40, 44)
	reject("relay-0", "two and two", "wrong_key", 40, 44, 60, 64)
	reject("relay-0", "another address", "address", every(2, 40, 6)...)
	for _, reason := range []string{"wrong_key", "missing_key", "address"} {
		reject("relay-0", "unknown", reason, every(2, 40, 6)...)
	}
	reject("relay-0", "locked out: wrong", "wrong_key", 40, 50)
	reject("relay-0", "locked out: missing", "missing_key", 40, 50)
	reject("relay-0", "locked out: address", "address", 40, 50)
	reject("relay-0", "locked out: at both relays", "wrong_key", 40)
	reject("relay-1", "locked out: at both relays", "wrong_key", 50)
	reject("relay-0", "locked out: let in before", "wrong_key", 40, 50)
	w.calls("sine_relay_webhooks_total", lobby("relay-0", "locked out: let in before").with(asked("accepted")), 20, 24)
	reject("relay-0", "one wrong", "wrong_key", 40)
	reject("relay-0", "far apart", "wrong_key", 40, 60)
	reject("relay-0", "one let in", "wrong_key", 40, 50)
	w.calls("sine_relay_webhooks_total", lobby("relay-1", "one let in").with(asked("accepted")), 42)
	fires := append(namedAt("WrongKey", "three wrong", "three missing"), namedAt("LockedOut", locked...)...)
	return check{name: "lobbies have wrong keys now and then", world: w, fires: fires, also: []moment{{56, fires}, {70, nil}}}
}

// single: where something is lost or set aside, once is enough, and it is seen for an
// hour, or for as long as the page needs to be read.
func single() check {
	w := lobbies(120, "refused", "not understood", "too large")
	w.calls("sine_relay_facts_settled_total", lobby("relay-1", "refused").with(labels{"result": "refused"}), 40)
	for site, outcome := range map[string]string{"not understood": "quarantined", "too large": "too_large"} {
		w.calls("sine_relay_webhooks_total", lobby("relay-1", site).with(labels{"event": "checked_in", "outcome": outcome}), 40)
	}
	for _, pod := range headquarters.pods {
		for _, result := range []string{"stored", "spooled", "failed", "dropped"} {
			for _, namespace := range []string{"failed", "dropped"} {
				w.counter("sine_relay_decision_records_total", installation{namespace: namespace}.labels(pod).with(labels{"result": result}), always(0))
			}
		}
		w.counter("sine_relay_spool_set_aside_total", headquarters.labels(pod), always(0))
	}
	for _, result := range []string{"failed", "dropped"} {
		w.calls("sine_relay_decision_records_total", installation{namespace: result}.labels("relay-1").with(labels{"result": result}), 40)
	}
	w.calls("sine_relay_spool_set_aside_total", headquarters.labels("relay-1"), 40)
	hour := append(namedAt("QuarantineGrows", "not understood"), named("QuarantineGrows", nil))
	hour = append(hour, namedAt("TooLarge", "too large")...)
	hour = append(hour, named("RecordsLost", labels{"namespace": "failed"}), named("RecordsLost", labels{"namespace": "dropped"}))
	all := append(namedAt("FactsRefused", "refused"), hour...)
	return check{name: "one of a kind is lost or set aside", world: w, fires: all, also: []moment{{39, nil}, {41, all}, {55, all}, {70, hour}, {90, hour}, {105, nil}}}
}
