package relay

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// Reasons for which a webhook is rejected, beside visit's reasons for which a
// body is not understood.
const (
	reasonMissingKey         = "missing_key"
	reasonWrongKey           = "wrong_key"
	reasonUnknownIntegration = "unknown_integration"
	// reasonAddress is a valid key from an address that is not allowed.
	reasonAddress = "address"
	// reasonNoKey is a call of an integration without a key, and reasonBroken
	// one of an integration whose configuration has faults.
	reasonNoKey  = "no_key_configured"
	reasonBroken = "integration_invalid"
	// reasonPlainHTTP is a valid key that came by http.
	reasonPlainHTTP = "plain_http"
)

// metrics holds what the relay counts. Counters and gauges carry the
// integration, so that one broken lobby among ninety is visible; histograms do
// not. Every combination of labels exists from the start.
type metrics struct {
	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	rejected       *prometheus.CounterVec
	webhooks       *prometheus.CounterVec
	inFlight       *prometheus.GaugeVec
	lastWebhook    *prometheus.GaugeVec
	keys           *keyUse
	contentTypes   *prometheus.CounterVec
	plainHTTP      *prometheus.CounterVec
	unnamed        *prometheus.CounterVec
	disagreements  *prometheus.CounterVec
	unidentified   *prometheus.CounterVec
	idConflicts    *prometheus.CounterVec

	asks            *prometheus.CounterVec
	askSeconds      *prometheus.HistogramVec
	shadows         *prometheus.CounterVec
	conditionErrors *prometheus.CounterVec
	records         *prometheus.CounterVec

	publishes      *prometheus.CounterVec
	publishSeconds *prometheus.HistogramVec
	received       *prometheus.CounterVec
	settled        *prometheus.CounterVec

	eventAge  prometheus.Observer
	hungUpAge prometheus.Observer
	repeatAge prometheus.Observer
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := factory{reg}
	m := &metrics{
		requests:       f.counter("http_requests_total", "HTTP requests on the public listener.", "route", "method", "code"),
		requestSeconds: f.histogram("http_request_duration_seconds", "Time from the arrival of a request's header to its answer.", fast, "route"),
		rejected:       f.counter("webhooks_refused_total", "Webhooks that were not let in or not understood.", "integration", "reason"),
		webhooks:       f.counter("webhooks_total", "Authenticated webhooks by what became of them.", "integration", "kind", "result"),
		inFlight:       f.gauge("webhooks_in_flight", "Authenticated webhooks being answered.", "integration"),
		lastWebhook:    f.gauge("last_webhook_timestamp_seconds", "Time of the last authenticated webhook, 0 if there was none.", "integration"),
		keys:           newKeyUse(reg),
		contentTypes:   f.counter("webhooks_wrong_content_type_total", "Authenticated webhooks whose content type was not application/json; they were read all the same.", "integration"),
		unnamed:        f.counter("webhooks_without_client_address_total", "Webhooks with a valid key of which a trusted proxy does not say who called, those from an address that is not allowed included.", "integration"),
		plainHTTP:      f.counter("webhooks_plain_http_total", "Webhooks with a valid key of which a trusted proxy says that they came to it by http, refused ones included.", "integration"),
		disagreements:  f.counter("webhooks_kind_mismatches_total", "Webhooks whose body names another event than the URL; the URL's was used.", "integration"),
		unidentified:   f.counter("webhooks_without_visitor_total", "Webhooks that do not say who the visitor is: a check-in request gets the fallback incomplete, an event is stored all the same.", "integration"),
		idConflicts:    f.counter("visit_id_conflicts_total", "Events of the same kind, visit id and date as an earlier one, with another body; both are kept.", "integration"),

		asks:       f.counter("decider_requests_total", "Questions to deciders by how they ended.", "integration", "decider", "result"),
		askSeconds: f.histogram("decider_request_duration_seconds", "Time from asking a decider to the decision, or to knowing that there is none.", fast, "result"),

		shadows:         f.counter("decider_shadow_decisions_total", "Decisions of deciders that are not obeyed, by whether they agree with the answer that was given.", "integration", "decider", "agreement"),
		conditionErrors: f.counter("decider_condition_errors_total", "Check-in requests for which the condition of a decider failed to evaluate; the decider was asked.", "integration", "decider"),
		records:         f.counter("decision_records_total", "Records of answered check-in requests by what became of them.", "result"),

		publishes:      f.counter("publishes_total", "Attempts to store a message by result; the retries of one call count once.", "integration", "result"),
		publishSeconds: f.histogram("publish_duration_seconds", "Time from a message being ready, waiting for its turn included, to its acknowledgement or the end of the attempt.", fast, "result"),
		received:       f.counter("events_received_total", "Ledger: authenticated bodies that were not a known check-in request. Equals the sum of events_settled_total when nothing is in flight.", "integration"),
		settled:        f.counter("events_settled_total", "Ledger: what became of the bodies in events_received_total, each counted once.", "integration", "result"),

		eventAge:  f.histogram("event_age_seconds", "Age of an event when it was received, by the date that Sine gave it.", slow).WithLabelValues(),
		hungUpAge: f.histogram("client_disconnect_duration_seconds", "Time after which callers hung up before their answer.", fast).WithLabelValues(),
		repeatAge: f.histogram("event_duplicate_age_seconds", "Time between the first arrival of a body and each repeat.", slow).WithLabelValues(),
	}
	m.initialise()
	return m
}

// initialise creates every series that is no integration's, so that a rate over
// the first increment is seen.
func (m *metrics) initialise() {
	for _, route := range []string{routeWebhook, routePinnedWebhook, routeNone} {
		m.requestSeconds.WithLabelValues(route)
	}
	m.initialiseRequests()
	for _, result := range askResults {
		m.askSeconds.WithLabelValues(result)
	}
	for _, result := range recordResults {
		m.records.WithLabelValues(result)
	}
	for _, result := range publishResults() {
		m.publishSeconds.WithLabelValues(result)
	}
	m.rejected.WithLabelValues(unknown, reasonUnknownIntegration)
}

// initialiseRequests: which answers a request can get follows from its route and
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
		for _, result := range askResults {
			m.asks.WithLabelValues(integration, d.Name, result)
		}
		m.conditionErrors.WithLabelValues(integration, d.Name)
		if d.Shadow {
			m.shadows.WithLabelValues(integration, d.Name, string(policy.Agrees))
			m.shadows.WithLabelValues(integration, d.Name, string(policy.Differs))
		}
	}
	for _, reason := range []string{
		reasonMissingKey, reasonWrongKey, reasonAddress, reasonNoKey, reasonBroken, reasonPlainHTTP, string(visit.ReasonTooLarge), string(visit.ReasonNotJSON),
		string(visit.ReasonNotUTF8), string(visit.ReasonUnknownEncoding), string(visit.ReasonBadEncoding), string(visit.ReasonTooDeep), string(visit.ReasonUnknownEvent), string(visit.ReasonIncomplete),
	} {
		m.rejected.WithLabelValues(integration, reason)
	}
	for event, outcomes := range kindResults {
		for _, o := range outcomes {
			m.webhooks.WithLabelValues(integration, event, string(o))
		}
	}
	for _, result := range publishResults() {
		m.publishes.WithLabelValues(integration, result)
	}
	for _, o := range []outcome{outcomeStored, outcomeDuplicate, outcomeSpooled, outcomeQuarantined, outcomeRefused} {
		m.settled.WithLabelValues(integration, string(o))
	}
	for _, vec := range []*prometheus.CounterVec{m.contentTypes, m.plainHTTP, m.unnamed, m.disagreements, m.unidentified, m.idConflicts, m.received} {
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
