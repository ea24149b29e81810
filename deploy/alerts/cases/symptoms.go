package main

// symptom is a gauge that is wrong, and the alert for it.
type symptom struct {
	series       string
	more         labels
	wrong, right float64
	waits        minute // until the alert fires
	alerts       []string
}

func symptoms() []symptom {
	stream := labels{"stream": "VISITORS"}
	drift := stream.with(labels{"field": "max_age"})
	door, certificate := labels{"connection": "door"}, labels{"certificate": "public"}
	return []symptom{
		{"sine_relay_spool_damaged", nil, 1, 0, 0, []string{named("SpoolDamaged", nil)}},
		{"sine_relay_order_in_force", labels{"kind": "lockdown", "site": "hq"}, 1, absent, 0, []string{named("Lockdown", labels{"site": "hq"})}},
		{"sine_relay_order_in_force", labels{"kind": "override", "site": "hq"}, 1, absent, 0, []string{named("Override", labels{"site": "hq"})}},
		{"sine_relay_nats_connected", door, 0, 1, 1, []string{named("NATSDisconnected", door)}},
		{"sine_relay_order_entries", labels{"state": "invalid"}, 1, 0, 1, []string{named("OrderEntries", labels{"state": "invalid"})}},
		{"sine_relay_spool_nearly_full", nil, 1, 0, 1, []string{named("SpoolNearlyFull", nil)}},
		{"sine_relay_spool_usable", nil, 0, 1, 1, []string{named("SpoolUnusable", nil)}},
		{"sine_relay_stream_full", stream, 1, 0, 1, []string{named("StreamFull", stream)}},
		{"sine_relay_spool_shares_used_up", nil, 2, 0, 1, []string{named("ShareUsedUp", nil)}},
		{"sine_relay_config_last_reload_successful", nil, 0, 1, 2, []string{named("ConfigurationBad", nil)}},
		{"sine_relay_keys_readable", nil, 0, 1, 2, []string{named("KeysUnreadable", nil)}},
		{"sine_relay_integration_keys", atSick, 0, 1, 2, []string{named("IntegrationWithoutKey", atSick)}},
		{"sine_relay_orders_known", nil, 0, 1, 5, []string{named("OrdersUnknown", nil)}},
		{"sine_relay_stream_usable", stream, 0, 1, 5, []string{named("StreamUnusable", stream)}},
		{"sine_relay_deciders_known", nil, 0, 1, 10, []string{named("DecidersUnknown", nil)}},
		{"sine_relay_stream_drift", drift, 1, 0, 10, []string{named("StreamDrift", drift)}},
		{"sine_relay_stream_bytes", stream, 9e8, 1e8, 10, []string{named("StreamNearlyFull", stream)}},
		{"sine_relay_certificate_expiry_timestamp_seconds", certificate, day, month, 10, []string{named("CertificateExpires", certificate), named("CertificateExpiresNow", certificate)}},
		{"sine_relay_nats_credentials_expiry_timestamp_seconds", nil, day, month, 10, []string{named("CredentialsExpire", nil), named("CredentialsExpireNow", nil)}},
	}
}

// everything is wrong at both relays, which is one alert each, after its time.
func everything() check {
	w := bare(90)
	for _, s := range symptoms() {
		w.relays("door", s.series, s.more, between(30, 60, s.wrong, s.right), between(30, 60, s.wrong, s.right))
	}
	c := check{name: "everything is wrong at both relays", world: w, at: 59}
	for _, at := range []minute{30, 31, 32, 35, 40} {
		var fires []string
		for _, s := range symptoms() {
			if at >= 30+s.waits {
				fires = append(fires, s.alerts...)
			}
		}
		c.fires = fires
		c.also = append(c.also, moment{at, fires})
	}
	c.also = append(c.also, moment{65, nil})
	return c
}

// blips are over before anybody needs to know.
func blips() check {
	w := bare(90)
	for _, s := range symptoms() {
		if s.waits > 0 {
			w.relays("door", s.series, s.more, always(s.right), between(30, 30+s.waits, s.wrong, s.right))
		}
	}
	return check{name: "everything is wrong, too shortly to tell", world: w}
}
