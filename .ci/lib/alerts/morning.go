package main

import (
	"fmt"
	"time"
)

const (
	sites = 40
	sick  = "site-07"
	day   = 86400
	// month is so many seconds that nothing expires.
	month = 30 * day
)

// installation is one in Prometheus.
type installation struct {
	namespace string
	pods      []string
}

var (
	headquarters = installation{"visitors", []string{"relay-0", "relay-1"}}
	annex        = installation{"annex", []string{"relay-0"}}
)

func (i installation) labels(pod string) labels {
	return labels{"namespace": i.namespace, "job": "sine-relay", "pod": pod, "instance": "10.0.0." + pod[len(pod)-1:] + ":9090"}
}

// morning is a Monday's: at each site somebody comes each minute or two.
func morning(length minute) *world {
	w := bare(length)
	for _, i := range []installation{headquarters, annex} {
		for _, pod := range i.pods {
			w.sitesOf(i.labels(pod))
		}
	}
	return w
}

// bare is the relays without their sites, for what is only about relays.
func bare(length minute) *world {
	w := newWorld(time.Minute, length)
	for _, i := range []installation{headquarters, annex} {
		for _, pod := range i.pods {
			w.relay(i.labels(pod))
		}
	}
	return w
}

// sitesOf are all sites as one relay sees them.
func (w *world) sitesOf(relay labels) {
	for n := range sites {
		w.well(relay.with(labels{"integration": fmt.Sprintf("site-%02d", n)}), always(0.4))
	}
	w.site(relay.with(atSick), always(0.4))
}

// night is the same without visitors.
func night(length minute) *world {
	w := morning(length)
	for name := range w.series {
		if w.steady[name] {
			w.series[name] = always(0)
		}
	}
	return w
}

// relay is what one relay shows of itself.
func (w *world) relay(l labels) {
	for name, value := range map[string]float64{
		"up": 1, "sine_relay_build_info": 1, "sine_relay_config_last_reload_successful": 1, "sine_relay_api_keys_readable": 1, "sine_relay_standing_orders_known": 1, "sine_relay_deciders_known": 1,
		"sine_relay_spool_messages": 0, "sine_relay_spool_nearly_full": 0, "sine_relay_spool_full": 0, "sine_relay_spool_oldest_timestamp_seconds": 0,
		"sine_relay_spool_usable": 1, "sine_relay_spool_shares_exhausted": 0, "sine_relay_quarantine_shares_exhausted": 0, "sine_relay_spool_damaged": 0, "sine_relay_nats_credentials_expiry_timestamp_seconds": month,
	} {
		w.gauge(name, l, always(value))
	}
	for _, state := range []string{"invalid", "deleted", "lost", "doubtful", "foreign"} {
		w.gauge("sine_relay_standing_order_entries", l.with(labels{"state": state}), always(0))
	}
	w.gauge("sine_relay_certificate_expiry_timestamp_seconds", l.with(labels{"certificate": "public"}), always(month))
	for _, connection := range []string{"check_in_requests", "events"} {
		w.gauge("sine_relay_nats_connected", l.with(labels{"connection": connection}), always(1))
	}
	for _, stream := range []string{"VISITORS", "VISITOR_DECISIONS", "VISITOR_QUARANTINE"} {
		s := l.with(labels{"stream": stream})
		w.gauge("sine_relay_stream_usable", s, always(1))
		w.gauge("sine_relay_stream_full", s, always(0))
		w.gauge("sine_relay_stream_bytes", s, always(1e8))
		w.gauge("sine_relay_stream_limit_bytes", s, always(1e9))
		w.gauge("sine_relay_stream_drift", s.with(labels{"field": "max_age"}), always(0))
	}
	w.counter("sine_relay_spool_quarantined_total", l, always(0))
	w.counter("sine_relay_log_lines_lost_total", l, always(0))
	for result, rate := range map[string]float64{"stored": 16, "spooled": 0, "failed": 0, "dropped": 0} {
		w.counter("sine_relay_decision_records_total", l.with(labels{"result": result}), always(rate))
	}
	w.publishes(l, always(32), always(0))
}

// publishes are the events: so many in time, and so many late.
func (w *world) publishes(l labels, good, late func(minute) float64) {
	stored := l.with(labels{"result": "stored"})
	w.counter("sine_relay_publish_duration_seconds_bucket", stored.with(labels{"le": "2"}), good)
	all := func(m minute) float64 { return good(m) + late(m) }
	w.counter("sine_relay_publish_duration_seconds_bucket", stored.with(labels{"le": "+Inf"}), all)
	w.counter("sine_relay_publish_duration_seconds_count", stored, all)
	w.counter("sine_relay_publish_duration_seconds_count", l.with(labels{"result": "timeout"}), always(0))
	w.counter("sine_relay_publish_duration_seconds_bucket", l.with(labels{"result": "timeout", "le": "2"}), always(0))
}

// well is what of a site's series grows where all is well, with so many check-ins
// a minute.
func (w *world) well(l labels, visitors func(minute) float64) {
	w.counter("sine_relay_webhooks_total", l.with(labels{"kind": "check_in_request", "result": "accepted"}), visitors)
	w.counter("sine_relay_webhooks_total", l.with(labels{"kind": "checked_in", "result": "stored"}), visitors)
	w.counter("sine_relay_events_settled_total", l.with(labels{"result": "stored"}), visitors)
	w.gauge("sine_relay_integration_info", l.with(labels{"site": "hq"}), always(1))
	w.gauge("sine_relay_deciders", l.with(labels{"decider": "watchlist"}), always(2))
	w.counter("sine_relay_decider_requests_total", l.with(labels{"decider": "watchlist", "result": "decided"}), visitors)
}

// site is all that a relay shows of an integration: with the series of what goes
// wrong, which are 0. For forty sites they would only cost time.
func (w *world) site(l labels, visitors func(minute) float64) {
	w.well(l, visitors)
	for _, result := range []string{"rejected", "timeout", "no_decider", "lockdown"} {
		w.counter("sine_relay_webhooks_total", l.with(labels{"kind": "check_in_request", "result": result}), always(0))
	}
	w.counter("sine_relay_webhooks_total", l.with(labels{"kind": "check_in_request", "result": "unasked"}), always(0.1))
	for _, result := range []string{"quarantined", "too_large", "refused"} {
		w.counter("sine_relay_webhooks_total", l.with(labels{"kind": "checked_in", "result": result}), always(0))
	}
	w.counter("sine_relay_events_settled_total", l.with(labels{"result": "refused"}), always(0))
	w.counter("sine_relay_webhooks_plain_http_total", l, always(0))
	w.counter("sine_relay_webhooks_without_client_address_total", l, always(0))
	w.gauge("sine_relay_integration_api_keys", l, always(2))
	w.gauge("sine_relay_integration_invalid", l, always(0))
	for _, reason := range []string{"missing_key", "wrong_key", "address", "no_key_configured", "integration_invalid", "plain_http"} {
		w.counter("sine_relay_webhooks_refused_total", l.with(labels{"reason": reason}), always(0))
	}
}
