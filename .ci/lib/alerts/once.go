package main

import "slices"

// once: where something is lost or set aside, once is enough, and it is seen for an
// hour, or for as long as the page needs to be read.
func once() check {
	w := lobbies(120, "refused", "not understood", "not read", "too large", "nobody")
	w.calls("sine_relay_events_settled_total", lobby("relay-1", "refused").with(labels{"result": "refused"}), 40)
	for site, result := range map[string]string{"not understood": "quarantined", "not read": "unknown_encoding", "too large": "too_large"} {
		w.calls("sine_relay_webhooks_total", lobby("relay-1", site).with(labels{"kind": "checked_in", "result": result}), 40)
	}
	w.calls("sine_relay_webhooks_incomplete_total", lobby("relay-1", "nobody"), 40)
	for _, result := range []string{"failed", "dropped"} {
		for n, pod := range headquarters.pods {
			l := installation{namespace: result}.labels(pod).with(labels{"result": result})
			w.calls("sine_relay_decision_records_total", l, every(1, 40, n)...)
		}
	}
	w.calls("sine_relay_spool_quarantined_total", headquarters.labels("relay-0"))
	w.calls("sine_relay_spool_quarantined_total", headquarters.labels("relay-1"), 40)
	hour := append(namedAt("QuarantineGrows", "not understood", "not read"), named("SpoolMessagesQuarantined", ofRelay("relay-1", nil)))
	hour = append(hour, namedAt("VisitorMissing", "nobody")...)
	hour = append(hour, namedAt("BodyTooLarge", "too large")...)
	hour = slices.Concat(hour, eachOf("DecisionRecordsLost", "failed", "relay-1"), eachOf("DecisionRecordsLost", "dropped", "relay-1"))
	all := append(namedAt("EventsRefused", "refused"), hour...)
	return check{name: "one of a kind is lost or set aside", world: w, fires: all, also: []moment{{39, nil}, {41, hour}, {42, all}, {55, all}, {70, hour}, {90, hour}, {105, nil}}}
}
