package main

import (
	"slices"
	"time"
)

// ofSpools are installations of which each has a situation of its own with its spools.
func ofSpools() []check {
	return []check{waiting(), leaving(), filling()}
}

// filling: what is full is not nearly full as well, and the disk is not said to fail.
func filling() check {
	w := newWorld(time.Minute, 100)
	both := func(nearly, full, unusable func(minute) float64) {
		w.relays("full", "sine_relay_spool_nearly_full", nil, nearly, always(0))
		w.relays("full", "sine_relay_spool_full", nil, full, always(0))
		w.relays("full", "sine_relay_spool_usable", nil, unusable, always(1))
	}
	both(between(20, 60, 1, 0), between(30, 50, 1, 0), between(30, 50, 0, 1))
	nearly, full := eachOf("SpoolNearlyFull", "full", "relay-0"), eachOf("SpoolFull", "full", "relay-0")
	return check{name: "a spool fills and empties", world: w, at: 40, fires: full, also: []moment{
		{20, nil}, {21, nearly}, {29, nearly}, {30, nil}, {31, full}, {49, full}, {50, nil}, {51, nearly}, {59, nearly}, {60, nil},
	}}
}

// waiting: more than before, and for more than an hour.
func waiting() check {
	w := newWorld(time.Minute, 100)
	grow := func(namespace string, values ...func(minute) float64) {
		w.relays(namespace, "sine_relay_spool_messages", nil, values...)
	}
	grow("both-a-little", between(30, 90, 12, 10), between(30, 90, 12, 10))
	grow("by-two", always(0), between(30, 90, 2, 0))
	grow("steadily", always(0), func(m minute) float64 { return float64(max(0, min(m, 60)-30)) })
	grow("not-any-more", always(10), always(10))
	grow("less-than-it-shrinks", between(0, 30, 20, 0), between(0, 30, 0, 5))
	grow("for-three-minutes", always(0), between(30, 33, 5, 0))
	age := func(namespace string, since ...float64) {
		for n, s := range since {
			pod := headquarters.pods[n]
			w.gauge("sine_relay_spool_oldest_timestamp_seconds", installation{namespace: namespace}.labels(pod), between(0, 90, s, 0))
		}
	}
	age("for-an-hour", 10*60, 50*60)
	age("for-an-hour-together", 45*60, 40*60)
	age("nothing", 0, 0)
	both := headquarters.pods
	early := slices.Concat(eachOf("SpoolGrows", "both-a-little", both...), eachOf("SpoolGrows", "by-two", both[1]), eachOf("SpoolGrows", "less-than-it-shrinks", both[1]))
	steadily := eachOf("SpoolGrows", "steadily", both[1])
	old := eachOf("SpoolMessagesOld", "for-an-hour", both[0])
	all := slices.Concat(early, steadily, old)
	return check{name: "messages wait in spools", world: w, fires: all, also: []moment{
		{34, nil}, {35, early}, {39, slices.Concat(early, steadily)}, {55, steadily}, {75, nil}, {76, old}, {89, old}, {90, nil},
	}}
}

// leaving: a relay that does not come back took along what was in its spool.
func leaving() check {
	w := newWorld(time.Minute, 140)
	goes := func(left float64, from, to minute) func(minute) float64 { return between(from, to, absent, left) }
	messages := "sine_relay_spool_messages"
	w.relays("left-two", messages, nil, always(0), goes(2, 30, 110))
	w.relays("left-nothing", messages, nil, always(0), goes(0, 30, 110))
	w.relays("came-back-soon", messages, nil, always(0), goes(12, 30, 45))
	w.relays("came-back-elsewhere", messages, nil, always(0), goes(12, 30, 141))
	w.gauge(messages, installation{namespace: "came-back-elsewhere"}.labels("relay-1").with(labels{"instance": "10.0.0.9:9090"}), func(m minute) float64 {
		if m < 31 {
			return absent
		}
		return 12
	})
	w.relays("without-pods", messages, labels{"pod": ""}, goes(2, 30, 110), goes(0, 30, 110))
	left := []string{
		named("SpoolLeftBehind", labels{"namespace": "left-two", "pod": "relay-1"}),
		named("SpoolLeftBehind", labels{"namespace": "without-pods", "instance": "10.0.0.0:9090"}),
	}
	return check{name: "relays go, and some come back", world: w, fires: left, also: []moment{{44, nil}, {51, left}, {109, left}, {110, nil}}}
}
