package relay

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// metrics holds what the relay counts. Counters and gauges carry the
// integration, so that one failing lobby among ninety is visible; histograms do
// not. Every combination of labels exists from the start.
type metrics struct {
	requests             *prometheus.CounterVec
	requestSeconds       *prometheus.HistogramVec
	refused              *prometheus.CounterVec
	webhooks             *prometheus.CounterVec
	inFlight             *prometheus.GaugeVec
	lastWebhook          *prometheus.GaugeVec
	apiKeys              *keysInForce
	contentTypes         *prometheus.CounterVec
	plainHTTP            *prometheus.CounterVec
	withoutAddress       *prometheus.CounterVec
	kindMismatches       *prometheus.CounterVec
	incomplete           *prometheus.CounterVec
	externalIDMismatches *prometheus.CounterVec
	idConflicts          *prometheus.CounterVec

	deciderRequests       *prometheus.CounterVec
	deciderRequestSeconds *prometheus.HistogramVec
	shadows               *prometheus.CounterVec
	conditionErrors       *prometheus.CounterVec
	records               *prometheus.CounterVec

	publishes      *prometheus.CounterVec
	publishSeconds *prometheus.HistogramVec
	received       *prometheus.CounterVec
	settled        *prometheus.CounterVec

	eventAge          prometheus.Observer
	disconnectSeconds prometheus.Observer
	duplicateAge      prometheus.Observer
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := factory{reg}
	m := &metrics{
		requests:             f.counter("http_requests_total", "HTTP requests on the public listener.", "route", "method", "code"),
		requestSeconds:       f.histogram("http_request_duration_seconds", "Time from the arrival of a request's header to its response.", fast, "route"),
		refused:              f.counter("webhooks_refused_total", "Webhooks that were refused or could not be read, by reason.", "integration", "reason"),
		webhooks:             f.counter("webhooks_total", "Authenticated webhooks by result.", "integration", "kind", "result"),
		inFlight:             f.gauge("webhooks_in_flight", "Authenticated webhooks in flight.", "integration"),
		lastWebhook:          f.gauge("last_webhook_timestamp_seconds", "Time of the last authenticated webhook, 0 if there was none.", "integration"),
		apiKeys:              newKeysInForce(reg),
		contentTypes:         f.counter("webhooks_wrong_content_type_total", "Authenticated webhooks whose content type was not application/json; they were read as JSON.", "integration"),
		withoutAddress:       f.counter("webhooks_without_client_address_total", "Webhooks with a valid key for which a trusted proxy did not pass on the client address, including those from an address that is not allowed.", "integration"),
		plainHTTP:            f.counter("webhooks_plain_http_total", "Webhooks with a valid key that came to a trusted proxy by http, including refused ones.", "integration"),
		kindMismatches:       f.counter("webhooks_kind_mismatches_total", "Webhooks whose body names another kind than the URL; the URL's was used.", "integration"),
		incomplete:           f.counter("webhooks_incomplete_total", "Webhooks that lack a field that is expected; a check-in request gets the fallback incomplete, an event is stored.", "integration"),
		externalIDMismatches: f.counter("webhooks_external_id_mismatches_total", "Webhooks with another external id than the configuration has; the configuration's was used.", "integration"),
		idConflicts:          f.counter("visit_id_conflicts_total", "Events of the same kind, visit id and date as an earlier one, but with another body; both are stored.", "integration"),

		deciderRequests:       f.counter("decider_requests_total", "Requests to deciders by result.", "integration", "decider", "result"),
		deciderRequestSeconds: f.histogram("decider_request_duration_seconds", "Time from a request to a decider to its decision, or to the error.", fast, "result"),

		shadows:         f.counter("decider_shadow_decisions_total", "Decisions of shadow deciders, by whether they agree with the response to Sine.", "integration", "decider", "agreement"),
		conditionErrors: f.counter("decider_condition_errors_total", "Check-in requests for which the condition of a decider failed to evaluate; the decider was asked.", "integration", "decider"),
		records:         f.counter("decision_records_total", "Decision records by result.", "result"),

		publishes:      f.counter("publishes_total", "Attempts to store a message by result; the retries for one webhook count once.", "integration", "result"),
		publishSeconds: f.histogram("publish_duration_seconds", "Time to store a message, including the wait for its turn, to its acknowledgement or the end of the attempt.", fast, "result"),
		received:       f.counter("events_received_total", "Ledger: authenticated bodies that were not a known check-in request. Equals the sum of events_settled_total when nothing is in flight.", "integration"),
		settled:        f.counter("events_settled_total", "Ledger: the bodies of events_received_total by result, each counted once.", "integration", "result"),

		eventAge:          f.histogram("event_age_seconds", "Age of an event when it was received, by the date in its body.", slow).WithLabelValues(),
		disconnectSeconds: f.histogram("client_disconnect_duration_seconds", "Time after which clients disconnected before the response.", fast).WithLabelValues(),
		duplicateAge:      f.histogram("event_duplicate_age_seconds", "Time between the first arrival of a body and each duplicate.", slow).WithLabelValues(),
	}
	m.initialise()
	return m
}

// initialise creates every series that does not belong to an integration, so that a rate over
// the first increment is seen.
func (m *metrics) initialise() {
	for _, route := range []string{routeWebhook, routePinnedWebhook, routeNone} {
		m.requestSeconds.WithLabelValues(route)
	}
	m.initialiseRequests()
	for _, result := range deciderRequestResults {
		m.deciderRequestSeconds.WithLabelValues(result)
	}
	for _, result := range recordResults {
		m.records.WithLabelValues(result)
	}
	for _, result := range publishResults {
		m.publishSeconds.WithLabelValues(result)
	}
	m.refused.WithLabelValues(unknown, reasonUnknownIntegration)
}

// initialiseRequests: which status a request can get follows from its route and
// method.
func (m *metrics) initialiseRequests() {
	for _, method := range methods {
		m.requests.WithLabelValues(routeNone, method, "404")
		for _, route := range []string{routeWebhook, routePinnedWebhook} {
			if method != http.MethodPost {
				m.requests.WithLabelValues(route, method, "405")
				continue
			}
			for _, code := range []string{"200", "400", "401", "403", "408", "413", "415", "429", "500", "503"} {
				m.requests.WithLabelValues(route, method, code)
			}
		}
	}
}

func (m *metrics) initialiseFor(in *Integration) {
	integration := in.Name
	for _, d := range in.Deciders {
		for _, result := range deciderRequestResults {
			m.deciderRequests.WithLabelValues(integration, d.Name, result)
		}
		m.conditionErrors.WithLabelValues(integration, d.Name)
		if d.Shadow {
			m.shadows.WithLabelValues(integration, d.Name, string(policy.Agrees))
			m.shadows.WithLabelValues(integration, d.Name, string(policy.Differs))
		}
	}
	for _, reason := range []string{
		reasonMissingKey, reasonWrongKey, reasonAddress, reasonNoKey, reasonInvalid, reasonPlainHTTP, string(visit.ReasonTooLarge), string(visit.ReasonNotJSON),
		string(visit.ReasonNotUTF8), string(visit.ReasonUnknownEncoding), string(visit.ReasonBadEncoding), string(visit.ReasonTooDeep), string(visit.ReasonUnknownEvent), string(visit.ReasonIncomplete),
	} {
		m.refused.WithLabelValues(integration, reason)
	}
	for kind, results := range kindResults {
		for _, result := range results {
			m.webhooks.WithLabelValues(integration, kind, string(result))
		}
	}
	for _, result := range publishResults {
		m.publishes.WithLabelValues(integration, result)
	}
	for _, result := range ledgerResults {
		m.settled.WithLabelValues(integration, string(result))
	}
	for _, vec := range []*prometheus.CounterVec{m.contentTypes, m.plainHTTP, m.withoutAddress, m.kindMismatches, m.incomplete, m.externalIDMismatches, m.idConflicts, m.received} {
		vec.WithLabelValues(integration)
	}
	m.inFlight.WithLabelValues(integration)
	m.lastWebhook.WithLabelValues(integration)
}

// Classic buckets, in seconds. Native histograms are kept beside them.
var (
	fast = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 2.5, 3, 5, 10}
	slow = []float64{.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400}
)

// factory makes and registers metrics under the relay's prefix.
type factory struct{ reg prometheus.Registerer }

func (f factory) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sine_relay", Name: name, Help: help}, labels)
	f.reg.MustRegister(c)
	return c
}

func (f factory) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "sine_relay", Name: name, Help: help}, labels)
	f.reg.MustRegister(g)
	return g
}

func (f factory) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "sine_relay", Name: name, Help: help, Buckets: buckets,
		// A native bucket every 10 %, and no more than 160 of them: without
		// a cap odd values would grow them without end.
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	f.reg.MustRegister(h)
	return h
}
