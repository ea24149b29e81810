package main

// wrongKeys: three wrong keys within fifteen minutes are a warning, and two calls that
// are not let in, if none is, an outage. Both outlive their condition by five minutes,
// here until 58.
func wrongKeys() check {
	busy := []string{"three wrong", "three missing", "two wrong", "two and two", "another address"}
	locked := []string{"locked out: wrong", "locked out: missing", "locked out: address", "locked out: at both relays", "locked out: let in before"}
	w := lobbies(100, append(append(busy, locked...), "one wrong", "far apart", "one let in")...)
	reject := func(pod, site, reason string, at ...minute) {
		w.calls("sine_relay_webhooks_refused_total", lobby(pod, site).with(labels{"reason": reason}), at...)
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
	fires := append(namedAt("WrongAPIKey", "three wrong", "three missing"), namedAt("IntegrationUnauthorized", locked...)...)
	return check{name: "lobbies have wrong keys now and then", world: w, fires: fires, also: []moment{{56, fires}, {70, nil}}}
}
