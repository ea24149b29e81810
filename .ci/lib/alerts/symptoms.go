package main

// symptom is a gauge that is wrong, and the alerts for it.
type symptom struct {
	series       string
	more         labels
	wrong, right float64
	waits        minute // until the alert fires
	where        labels // of the alert, beside the installation
	each         bool   // the alert names the relay
	alerts       []string
}

// fires are the alerts where both relays show it.
func (s symptom) fires() (all []string) {
	for _, alert := range s.alerts {
		if !s.each {
			all = append(all, named(alert, s.where))
			continue
		}
		for _, pod := range headquarters.pods {
			all = append(all, named(alert, ofRelay(pod, s.where)))
		}
	}
	return all
}

func symptoms() []symptom {
	stream, hq := labels{"stream": "VISITORS"}, labels{"site": "hq"}
	drift := stream.with(labels{"field": "max_age"})
	requests, certificate, invalid := labels{"connection": "check_in_requests"}, labels{"certificate": "public"}, labels{"state": "invalid"}
	return []symptom{
		{"sine_relay_spool_damaged", nil, 1, 0, 0, nil, true, []string{"SpoolDamaged"}},
		{"sine_relay_standing_order_in_force", labels{"type": "lockdown", "site": "hq"}, 1, absent, 0, hq, false, []string{"Lockdown"}},
		{"sine_relay_standing_order_in_force", labels{"type": "override", "site": "hq"}, 1, absent, 0, hq, false, []string{"Override"}},
		{"sine_relay_nats_connected", requests, 0, 1, 1, requests, true, []string{"NATSDisconnected"}},
		{"sine_relay_standing_order_entries", invalid, 1, 0, 1, invalid, false, []string{"StandingOrderEntries"}},
		{"sine_relay_spool_nearly_full", nil, 1, 0, 1, nil, true, []string{"SpoolNearlyFull"}},
		{"sine_relay_spool_usable", nil, 0, 1, 1, nil, true, []string{"SpoolUnusable"}},
		{"sine_relay_stream_full", stream, 1, 0, 1, stream, false, []string{"StreamFull"}},
		{"sine_relay_spool_shares_exhausted", nil, 2, 0, 1, nil, true, []string{"ShareExhausted"}},
		{"sine_relay_standing_orders_known", nil, 0, 1, 1, nil, true, []string{"StandingOrdersUnknown"}},
		{"sine_relay_config_last_reload_successful", nil, 0, 1, 2, nil, true, []string{"ConfigurationInvalid"}},
		{"sine_relay_api_keys_readable", nil, 0, 1, 2, nil, true, []string{"APIKeysUnreadable"}},
		{"sine_relay_integration_api_keys", atSick, 0, 1, 2, atSick.with(labels{"site": "unknown"}), false, []string{"IntegrationWithoutAPIKey"}},
		{"sine_relay_stream_usable", stream, 0, 1, 2, stream, false, []string{"StreamUnusable"}},
		{"sine_relay_deciders_known", nil, 0, 1, 10, nil, true, []string{"DecidersUnknown"}},
		{"sine_relay_stream_drift", drift, 1, 0, 10, drift, false, []string{"StreamDrift"}},
		{"sine_relay_stream_bytes", stream, 9e8, 1e8, 10, stream, false, []string{"StreamNearlyFull"}},
		{"sine_relay_certificate_expiry_timestamp_seconds", certificate, day, month, 10, certificate, true, []string{"CertificateExpires", "CertificateExpiresNow"}},
		{"sine_relay_nats_credentials_expiry_timestamp_seconds", nil, day, month, 10, nil, true, []string{"CredentialsExpire", "CredentialsExpireNow"}},
	}
}

// everything is wrong at both relays: one alert each, after its time, or one of each
// relay where it is its own.
func everything() check {
	w := bare(90)
	for _, s := range symptoms() {
		w.relays("visitors", s.series, s.more, between(30, 60, s.wrong, s.right), between(30, 60, s.wrong, s.right))
	}
	c := check{name: "everything is wrong at both relays", world: w, at: 59}
	for _, at := range []minute{30, 31, 32, 40} {
		var fires []string
		for _, s := range symptoms() {
			if at >= 30+s.waits {
				fires = append(fires, s.fires()...)
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
			w.relays("visitors", s.series, s.more, always(s.right), between(30, 30+s.waits, s.wrong, s.right))
		}
	}
	return check{name: "everything is wrong, too shortly to tell", world: w}
}
