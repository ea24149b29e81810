package main

import (
	"fmt"
	"slices"
	"time"
)

// cause is an installation of ninety lobbies with one thing wrong, all that fires for
// it, and what is left of that once Alertmanager inhibits what follows from it.
type cause struct {
	namespace string
	wrong     func(*world, string)
	causes    []string
	effects   []string
}

// causes of failures that are seen at each lobby, and what looks like one and is none.
func causes() []cause {
	both := headquarters.pods
	burn := func(namespace string) []string { return namedOf("CheckInErrorBudgetBurnFast", namespace) }
	all := func(namespace string) []string { return namedOf("AllCheckInsByFallback", namespace) }
	return []cause{
		{"without-nats", withoutNATS, append(namedOf("NATSUnavailable", "without-nats"), burn("without-nats")...),
			slices.Concat(eachConnection("without-nats", both...), all("without-nats"), atEach("CheckInsByFallback", "without-nats"), atEach("EventsRefused", "without-nats"))},
		{"full-disk", fullDisk, []string{named("StreamFull", labels{"namespace": "full-disk", "stream": "VISITORS"})}, atEach("EventsRefused", "full-disk")},
		{"unfit-stream", unfitStream, []string{named("StreamUnusable", labels{"namespace": "unfit-stream", "stream": "VISITORS"})}, atEach("EventsRefused", "unfit-stream")},
		{"full-records", fullRecords, append(atEach("EventsRefused", "full-records"), named("StreamFull", labels{"namespace": "full-records", "stream": "VISITOR_DECISIONS"})), nil},
		{"nobody-decides", nobodyDecides, append(all("nobody-decides"), burn("nobody-decides")...), atEach("CheckInsByFallback", "nobody-decides")},
		{"without-keys", withoutKeys, namedOf("AllIntegrationsUnauthorized", "without-keys"), append(atEach("IntegrationUnauthorized", "without-keys"), atEach("WrongAPIKey", "without-keys")...)},
		// One relay's connection is no reason why a lobby gets no decision from the other.
		{"one-relay", oneRelay, slices.Concat(eachConnection("one-relay", both[1]), atLobby("CheckInsByFallback", "one-relay", 7)), nil},
	}
}

func ofCauses() []check {
	w := newWorld(time.Minute, 45)
	var fires []string
	for _, c := range causes() {
		c.wrong(w, c.namespace)
		fires = slices.Concat(fires, c.causes, c.effects)
	}
	return []check{{name: "every call of every lobby fails", world: w, at: 33, fires: fires, also: []moment{{29, nil}}, end: 40, still: fires}}
}

const lobbiesOfCauses = 90

// atLobby is an alert of one lobby of an installation, and atEach one of each.
func atLobby(alert, namespace string, n int) []string {
	return []string{named(alert, labels{"namespace": namespace, "integration": fmt.Sprintf("lobby-%02d", n), "site": "unknown"})}
}

func atEach(alert, namespace string) (all []string) {
	for n := range lobbiesOfCauses {
		all = append(all, atLobby(alert, namespace, n)...)
	}
	return all
}

func eachConnection(namespace string, pods ...string) (all []string) {
	for _, pod := range pods {
		for _, c := range []string{"check_in_requests", "events"} {
			all = append(all, named("NATSDisconnected", ofRelay(pod, labels{"namespace": namespace, "connection": c})))
		}
	}
	return all
}

// broken and sound are rates before and from minute 30 on.
var (
	broken = between(0, 30, 0, 1)
	sound  = between(0, 30, 1, 0)
)

// each lobby of an installation gets a series, at its first relay.
func (w *world) lobbiesOf(namespace, series string, more labels, rate func(minute) float64) {
	for n := range lobbiesOfCauses {
		w.counter(series, installation{namespace: namespace}.labels("relay-0").with(labels{"integration": fmt.Sprintf("lobby-%02d", n)}).with(more), rate)
	}
}

func withoutNATS(w *world, namespace string) {
	w.lobbiesOf(namespace, "sine_relay_webhooks_total", asked("accepted"), sound)
	w.lobbiesOf(namespace, "sine_relay_webhooks_total", asked("disconnected"), broken)
	w.lobbiesOf(namespace, "sine_relay_events_settled_total", labels{"result": "refused"}, broken)
	for _, connection := range []string{"check_in_requests", "events"} {
		w.relays(namespace, "sine_relay_nats_connected", labels{"connection": connection}, sound, sound)
	}
}

func fullDisk(w *world, namespace string) {
	w.lobbiesOf(namespace, "sine_relay_events_settled_total", labels{"result": "refused"}, broken)
	w.relays(namespace, "sine_relay_stream_full", labels{"stream": "VISITORS"}, broken, broken)
}

func unfitStream(w *world, namespace string) {
	w.lobbiesOf(namespace, "sine_relay_events_settled_total", labels{"result": "refused"}, broken)
	w.relays(namespace, "sine_relay_stream_usable", labels{"stream": "VISITORS"}, sound, sound)
}

func fullRecords(w *world, namespace string) {
	w.lobbiesOf(namespace, "sine_relay_events_settled_total", labels{"result": "refused"}, broken)
	w.relays(namespace, "sine_relay_stream_full", labels{"stream": "VISITOR_DECISIONS"}, broken, broken)
}

func nobodyDecides(w *world, namespace string) {
	w.lobbiesOf(namespace, "sine_relay_webhooks_total", asked("accepted"), sound)
	w.lobbiesOf(namespace, "sine_relay_webhooks_total", asked("no_decider"), broken)
}

func withoutKeys(w *world, namespace string) {
	w.lobbiesOf(namespace, "sine_relay_webhooks_total", asked("accepted"), sound)
	w.lobbiesOf(namespace, "sine_relay_webhooks_refused_total", labels{"reason": "missing_key"}, broken)
}

// oneRelay has lost its connections, and one lobby of the other has no decider.
func oneRelay(w *world, namespace string) {
	for _, connection := range []string{"check_in_requests", "events"} {
		w.relays(namespace, "sine_relay_nats_connected", labels{"connection": connection}, always(1), sound)
	}
	l := installation{namespace: namespace}.labels("relay-0")
	w.counter("sine_relay_webhooks_total", l.with(labels{"integration": "lobby-07"}).with(asked("no_decider")), broken)
	w.counter("sine_relay_webhooks_total", l.with(labels{"integration": "lobby-08"}).with(asked("accepted")), always(200))
}
