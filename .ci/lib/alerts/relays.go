package main

// one is a world in which a gauge of one relay differs for a while.
func one(series string, more labels, wrong, right float64) *world {
	w := bare(140)
	w.gauge(series, headquarters.labels("relay-1").with(more), between(30, 60, wrong, right))
	return w
}

// ofRelays are those in which a relay, NATS or a stream is sick.
func ofRelays() []check {
	second := ofRelay("relay-1", nil)
	requests, visitors := labels{"connection": "check_in_requests"}, labels{"stream": "VISITORS"}
	gone := morning(140)
	for _, pod := range headquarters.pods {
		gone.each(pod, vanished(30, 60))
	}
	oneGone := morning(140)
	oneGone.each("relay-1", vanished(30, 60))
	oneGone.gauge("up", headquarters.labels("relay-1"), between(30, 60, 0, 1))
	left := morning(140)
	left.gauge("sine_relay_spool_messages", headquarters.labels("relay-1"), always(12))
	left.each("relay-1", vanished(30, 90))
	leftElsewhere := bare(140)
	for _, pod := range []string{"relay-5", "relay-6"} {
		l := headquarters.labels(pod)
		delete(l, "pod")
		delete(l, "namespace")
		messages := always(0)
		if pod == "relay-6" {
			messages = func(m minute) float64 { return between(30, 90, absent, 12)(m) }
		}
		leftElsewhere.gauge("sine_relay_spool_messages", l, messages)
	}
	grows := bare(140)
	grows.gauge("sine_relay_spool_messages", headquarters.labels("relay-1"), func(m minute) float64 { return max(0, min(float64(m)-30, 90-float64(m))) })
	old := bare(180)
	old.gauge("sine_relay_spool_oldest_timestamp_seconds", headquarters.labels("relay-1"), between(30, 150, 30*60, 0))
	counted := func(series string, more labels) *world {
		w := bare(140)
		w.counter(series, headquarters.labels("relay-1").with(more), between(30, 60, 0.2, 0))
		return w
	}
	slow := bare(140)
	repeated := labels{"site": "hq", "decider": "watchlist", "reason": "no_reply"}
	slow.counter("sine_relay_decider_request_retries_total", headquarters.labels("relay-0").with(repeated), between(30, 60, 2, 0))
	besides := morning(140)
	besides.counter("sine_relay_http_requests_invalid_total", headquarters.labels("relay-1").with(labels{"listener": "public", "reason": "proxy_protocol"}), between(30, 60, 0.2, 0))
	everywhere := bare(140)
	for _, pod := range headquarters.pods {
		everywhere.gauge("sine_relay_standing_order_in_force", headquarters.labels(pod).with(labels{"type": "lockdown", "site": "hq"}), between(30, 60, 1, absent))
	}
	overridden := bare(140)
	overridden.gauge("sine_relay_standing_order_in_force", headquarters.labels("relay-0").with(labels{"type": "override", "site": "*"}), between(30, 60, 1, absent))
	elsewhere := labels{"alertname": "SineRelaySpoolLeftBehind", "job": "sine-relay", "instance": "10.0.0.6:9090"}.String()
	certificate := labels{"certificate": "public"}
	return []check{
		{name: "no relay is left", world: gone, at: 50, fires: []string{named("Down", nil)}},
		{name: "a relay is not scraped", world: oneGone, at: 50, fires: []string{named("InstanceDown", second)}},
		{name: "strangers fill the listener of a relay", world: counted("sine_relay_connections_dropped_total", labels{"listener": "public", "reason": "unauthenticated"}), at: 50, fires: []string{named("ConnectionsFull", second)}},
		{name: "a proxy sends the PROXY protocol", world: counted("sine_relay_http_requests_invalid_total", labels{"listener": "public", "reason": "proxy_protocol"}), at: 50, fires: []string{named("ProxyProtocol", nil), named("ProxyProtocolOnly", nil)}},
		{name: "a proxy sends the PROXY protocol, and another does not", world: besides, at: 50, fires: []string{named("ProxyProtocol", nil)}},
		{name: "strangers send what is not HTTP", world: counted("sine_relay_http_requests_invalid_total", labels{"listener": "public", "reason": "malformed"})},
		{name: "the admin listener is full", world: counted("sine_relay_connections_dropped_total", labels{"listener": "admin", "reason": "unauthenticated"})},
		{name: "a relay has no connection for check-in requests", world: one("sine_relay_nats_connected", requests, 0, 1), at: 40, fires: []string{named("NATSDisconnected", second.with(requests))}},
		{name: "a spool grows", world: grows, at: 55, fires: []string{named("SpoolGrows", second)}},
		{name: "a spool is nearly full", world: one("sine_relay_spool_nearly_full", nil, 1, 0), at: 40, fires: []string{named("SpoolNearlyFull", second)}},
		{name: "a spool is full", world: one("sine_relay_spool_full", nil, 1, 0), at: 40, fires: []string{named("SpoolFull", second)}},
		{name: "messages wait for more than an hour", world: old, at: 120, fires: []string{named("SpoolMessagesOld", second)}},
		{name: "a relay's log has no reader", world: counted("sine_relay_log_lines_lost_total", nil), at: 50, fires: []string{named("LogLinesLost", second)}},
		{name: "a relay goes and leaves its spool", world: left, at: 60, fires: []string{named("SpoolLeftBehind", labels{"pod": "relay-1"})}},
		{name: "a relay goes and leaves its spool, where there are no pods", world: leftElsewhere, at: 60, fires: []string{elsewhere}},
		{name: "a spool cannot be used", world: one("sine_relay_spool_usable", nil, 0, 1), at: 40, fires: []string{named("SpoolUnusable", second)}},
		{name: "a spool was damaged", world: one("sine_relay_spool_damaged", nil, 1, 0), at: 40, fires: []string{named("SpoolDamaged", second)}},
		{name: "messages are set aside", world: counted("sine_relay_spool_quarantined_total", nil), at: 50, fires: []string{named("SpoolMessagesQuarantined", second)}},
		{name: "a stream is unfit", world: one("sine_relay_stream_usable", visitors, 0, 1), at: 50, fires: []string{named("StreamUnusable", visitors)}},
		{name: "a stream is full", world: one("sine_relay_stream_full", visitors, 1, 0), at: 50, fires: []string{named("StreamFull", visitors)}},
		{name: "a stream lost messages", world: counted("sine_relay_stream_losses_total", visitors), at: 50, fires: []string{named("MessagesLost", visitors)}},
		{name: "acknowledged messages are not kept", world: counted("sine_relay_window_left_out_total", nil), at: 50, fires: []string{named("WindowIncomplete", second)}},
		{name: "an integration has its share of the spool", world: one("sine_relay_spool_shares_exhausted", nil, 1, 0), at: 50, fires: []string{named("ShareExhausted", second)}},
		{name: "an integration has its share of the quarantine", world: one("sine_relay_quarantine_shares_exhausted", nil, 1, 0), at: 50, fires: []string{named("ShareExhausted", second)}},
		{name: "a stream differs", world: one("sine_relay_stream_drift", visitors.with(labels{"field": "max_age"}), 1, 0), at: 50, fires: []string{named("StreamDrift", visitors.with(labels{"field": "max_age"}))}},
		{name: "a stream is nearly full", world: one("sine_relay_stream_bytes", visitors, 8.5e8, 1e8), at: 50, fires: []string{named("StreamNearlyFull", visitors)}},
		{name: "a certificate has ten days left", world: one("sine_relay_certificate_expiry_timestamp_seconds", certificate, 10*day, month), at: 50, fires: []string{named("CertificateExpires", second.with(certificate))}},
		{name: "a certificate has one day left", world: one("sine_relay_certificate_expiry_timestamp_seconds", certificate, day, month), at: 50, fires: []string{named("CertificateExpires", second.with(certificate)), named("CertificateExpiresNow", second.with(certificate))}},
		{name: "the credentials have ten days left", world: one("sine_relay_nats_credentials_expiry_timestamp_seconds", nil, 10*day, 0), at: 50, fires: []string{named("CredentialsExpire", second)}},
		{name: "the credentials have one day left", world: one("sine_relay_nats_credentials_expiry_timestamp_seconds", nil, day, 0), at: 50, fires: []string{named("CredentialsExpire", second), named("CredentialsExpireNow", second)}},
		{name: "a configuration has errors", world: one("sine_relay_config_last_reload_successful", nil, 0, 1), at: 50, fires: []string{named("ConfigurationInvalid", second)}},
		{name: "a lockdown", world: everywhere, at: 31, fires: []string{named("Lockdown", labels{"site": "hq"})}},
		{name: "an override of all sites", world: overridden, at: 31, fires: []string{named("Override", labels{"site": "*"})}},
		{name: "a relay does not know the orders", world: one("sine_relay_standing_orders_known", nil, 0, 1), at: 50, fires: []string{named("StandingOrdersUnknown", second)}},
		{name: "somebody deletes an order", world: one("sine_relay_standing_order_entries", labels{"state": "deleted"}, 1, 0), at: 50, fires: []string{named("StandingOrderEntries", labels{"state": "deleted"})}},
		{name: "orders of sites that nobody has", world: one("sine_relay_standing_order_entries", labels{"state": "foreign"}, 20000, 0), at: 50},
		{name: "records of decisions are lost", world: counted("sine_relay_decision_records_total", labels{"result": "failed"}), at: 50, fires: []string{named("DecisionRecordsLost", second)}},
		{name: "a decider does not reply in half of the time", world: slow, at: 50, fires: []string{named("DeciderNotReplying", labels{"site": "hq", "decider": "watchlist"})}},
		{name: "a question is answered twice", world: counted("sine_relay_decider_duplicate_replies_total", labels{"site": "hq", "decider": "watchlist"}), at: 50, fires: []string{named("DuplicateReplies", labels{"site": "hq", "decider": "watchlist"})}},
		{name: "a message is acknowledged twice", world: counted("sine_relay_duplicate_acknowledgements_total", nil), at: 50, fires: []string{named("DuplicateAcknowledgements", second)}},
		{name: "a stream acknowledges check-in requests", world: counted("sine_relay_ignored_replies_total", labels{"reason": "acknowledgement"}), at: 50, fires: []string{named("StreamAcknowledgesRequests", second)}},
		{name: "somebody replies to events", world: counted("sine_relay_ignored_replies_total", labels{"reason": "no_acknowledgement"}), at: 50, fires: []string{named("UnexpectedEventReplies", second)}},
	}
}

// vanished: who goes and comes back begins to count anew.
func vanished(from, to minute) func(func(minute) float64) func(minute) float64 {
	return func(value func(minute) float64) func(minute) float64 {
		return func(m minute) float64 {
			if from <= m && m < to {
				return absent
			}
			return value(m)
		}
	}
}
