package main

import (
	"slices"
	"time"
)

// relays gives every relay of an installation a series, with a value of its own.
func (w *world) relays(namespace, series string, more labels, values ...func(minute) float64) {
	for n, pod := range headquarters.pods[:len(values)] {
		w.gauge(series, installation{namespace: namespace}.labels(pod).with(more), values[n])
	}
}

// namedOf is an alert of each of these installations.
func namedOf(alert string, namespaces ...string) (all []string) {
	for _, namespace := range namespaces {
		all = append(all, named(alert, labels{"namespace": namespace}))
	}
	return all
}

// ofInstallations are those in which several installations in one Prometheus are each in
// a situation of their own, or everything is wrong at one.
func ofInstallations() []check {
	return []check{everything(), blips(), scraped(), streams(), expiries()}
}

// scraped are relays that Prometheus does not reach, and what is none.
func scraped() check {
	w := newWorld(time.Minute, 240)
	up := func(namespace string, values ...func(minute) float64) {
		w.relays(namespace, "up", nil, values...)
	}
	shown := func(namespace string, values ...func(minute) float64) {
		w.relays(namespace, "sine_relay_build_info", nil, values...)
	}
	up("one-down", always(1), between(30, 70, 0, 1))
	shown("one-down", always(1), between(30, 70, absent, 1))
	up("one-down-for-four-minutes", always(1), between(30, 34, 0, 1))
	shown("one-down-for-four-minutes", always(1), between(30, 34, absent, 1))
	// What was seen last counts for five minutes more.
	shown("all-away-for-a-minute", between(30, 36, absent, 1), between(30, 36, absent, 1))
	shown("removed", between(30, 300, absent, 1), between(30, 300, absent, 1))
	up("removed", between(30, 300, absent, 1), between(30, 300, absent, 1))
	up("all-down", between(30, 200, 0, 1), between(30, 200, 0, 1))
	shown("all-down", between(30, 200, absent, 1), between(30, 200, absent, 1))
	w.gauge("up", labels{"namespace": "one-down", "job": "database"}, always(0))
	down := func(namespace, pod string) string {
		return named("InstanceDown", installation{namespace: namespace}.labels(pod))
	}
	all := []string{down("all-down", "relay-0"), down("all-down", "relay-1")}
	first := append([]string{down("one-down", "relay-1")}, all...)
	gone := slices.Concat(first, namedOf("Down", "all-down", "removed"))
	late := slices.Concat(all, namedOf("Down", "all-down"))
	return check{name: "relays are not scraped, for a while or for good", world: w, fires: gone, also: []moment{
		{34, nil}, {35, first}, {37, gone}, {69, gone}, {80, slices.Concat(late, namedOf("Down", "removed"))}, {100, late}, {195, late},
	}}
}

// streams are what each is named for.
func streams() check {
	w := newWorld(time.Minute, 60)
	of := func(stream string, bytes, limit, otherLimit float64) {
		l := labels{"stream": stream}
		w.relays("visitors", "sine_relay_stream_bytes", l, always(bytes), always(bytes))
		w.relays("visitors", "sine_relay_stream_limit_bytes", l, between(0, 45, limit, 2*bytes), between(0, 45, otherLimit, 2*bytes))
	}
	of("79 % full", 79, 100, 100)
	of("81 % full", 81, 100, 100)
	of("without a limit", 1e9, 0, 0)
	of("with a limit that one relay knows to be higher", 90, 100, 200)
	return check{name: "streams are nearly full, or not quite", world: w, fires: []string{named("StreamNearlyFull", labels{"stream": "81 % full"})}}
}

// expiries: two and fourteen days are reached at minute 60, and the alerts wait for ten
// more.
func expiries() check {
	w := newWorld(time.Minute, 140)
	for name, left := range map[string]float64{"fourteen-days": 14*day + 3600, "two-days": 2*day + 3600, "later": 15 * day} {
		renewed := func(left float64) func(minute) float64 { return between(0, 100, left, month) }
		w.relays("visitors", "sine_relay_certificate_expiry_timestamp_seconds", labels{"certificate": name}, renewed(left), renewed(left+day))
		w.relays(name, "sine_relay_nats_credentials_expiry_timestamp_seconds", nil, renewed(left), renewed(left+day))
	}
	w.relays("never", "sine_relay_nats_credentials_expiry_timestamp_seconds", nil, always(0), always(0))
	// The second relay's own are valid for a day more.
	certificate := func(alert, name string) string {
		return named(alert, ofRelay("relay-0", labels{"certificate": name}))
	}
	first := func(alert, namespace string) []string { return eachOf(alert, namespace, "relay-0") }
	both := named("CertificateExpires", ofRelay("relay-1", labels{"certificate": "two-days"}))
	before := append(eachOf("CredentialsExpire", "two-days", headquarters.pods...), certificate("CertificateExpires", "two-days"), both)
	after := slices.Concat(before, first("CredentialsExpire", "fourteen-days"), first("CredentialsExpireNow", "two-days"),
		[]string{certificate("CertificateExpires", "fourteen-days"), certificate("CertificateExpiresNow", "two-days")})
	return check{name: "certificates and credentials come to their last days", world: w, fires: after, also: []moment{{60, before}, {70, before}, {71, after}, {99, after}, {100, nil}}}
}
