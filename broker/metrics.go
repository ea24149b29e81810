package broker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics holds what the broker counts; questions and events are counted by
// those who have them. Every combination of labels exists from the start.
type metrics struct {
	connected   *prometheus.GaugeVec
	reconnects  *prometheus.CounterVec
	errors      *prometheus.CounterVec
	lateReplies prometheus.Counter
	// secondReplies are by the question's site and decider.
	secondReplies    *prometheus.CounterVec
	secondAcks       prometheus.Counter
	repeated         *prometheus.CounterVec
	ignoredReplies   *prometheus.CounterVec
	usable           *prometheus.GaugeVec
	drift            *prometheus.GaugeVec
	full             *prometheus.GaugeVec
	quarantineShares prometheus.Gauge
	bytes            *prometheus.GaugeVec
	limit            *prometheus.GaugeVec
}

func newMetrics(cfg Config) *metrics {
	f := promauto.With(cfg.Registerer)
	m := &metrics{
		connected: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_nats_connected",
			Help: "1 while connected to NATS.",
		}, []string{"connection"}),
		reconnects: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_nats_reconnects_total",
			Help: "Reconnections to NATS.",
		}, []string{"connection"}),
		errors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_nats_errors_total",
			Help: "Errors of a connection to NATS, including failed attempts to connect.",
		}, []string{"connection", "reason"}),
		lateReplies: f.NewCounter(prometheus.CounterOpts{
			Name: "sine_relay_decider_late_replies_total",
			Help: "Replies of deciders after the deadline.",
		}),
		secondReplies: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_decider_duplicate_replies_total",
			Help: "Further replies to a check-in request: another client replies for a decider, or two programs decide without a queue group.",
		}, []string{"site", "decider"}),
		secondAcks: f.NewCounter(prometheus.CounterOpts{
			Name: "sine_relay_duplicate_acknowledgements_total",
			Help: "Further acknowledgements of a message: a client other than a stream acknowledges.",
		}),
		repeated: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_decider_request_retries_total",
			Help: "Check-in requests that were sent to a decider again: no reply within half of the time (no_reply), or the connection to NATS was lost (disconnected).",
		}, []string{"site", "decider", "reason"}),
		ignoredReplies: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_ignored_replies_total",
			Help: "Invalid replies that were ignored: a stream's acknowledgement of a check-in request (acknowledgement), and a reply to an event, record or quarantined message that is not an acknowledgement (no_acknowledgement).",
		}, []string{"reason"}),
		usable: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_stream_usable",
			Help: "1 when the stream was usable at the last check, and stored the last message unless it is full.",
		}, []string{"stream"}),
		drift: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_stream_drift",
			Help: "1 when a field of the stream differs from the relay's settings, and the stream is usable.",
		}, []string{"stream", "field"}),
		full: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_stream_full",
			Help: "1 while the stream refuses messages because it is full, by the last reply.",
		}, []string{"stream"}),
		bytes: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_stream_bytes",
			Help: "Bytes in the stream at the last check.",
		}, []string{"stream"}),
		limit: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_stream_limit_bytes",
			Help: "Maximum bytes of the stream, 0 without a limit or before the first check.",
		}, []string{"stream"}),
	}
	m.quarantineShares = f.NewGauge(prometheus.GaugeOpts{
		Name: "sine_relay_quarantine_shares_exhausted",
		Help: "Integrations whose unreadable bodies are refused because their share of the quarantine is exhausted.",
	})
	for _, connection := range []string{"check_in_requests", "events"} {
		m.connected.WithLabelValues(connection)
		m.reconnects.WithLabelValues(connection)
		for _, kind := range errorKinds {
			m.errors.WithLabelValues(connection, kind)
		}
	}
	m.ignoredReplies.WithLabelValues(reasonAcknowledgement)
	m.ignoredReplies.WithLabelValues(reasonNoAcknowledgement)
	for _, stream := range append(cfg.streams(), StreamConfig{Name: "KV_" + cfg.Orders}) {
		m.setStream(stream.Name, finding{})
		m.usable.WithLabelValues(stream.Name).Set(0)
		m.full.WithLabelValues(stream.Name).Set(0)
	}
	return m
}

// setStream takes over what a look found. Whether the stream is usable it does not tell.
func (m *metrics) setStream(name string, f finding) {
	for _, field := range driftFields {
		m.drift.WithLabelValues(name, field).Set(0)
	}
	for _, one := range f.drift {
		m.drift.WithLabelValues(name, one.field).Set(1)
	}
	m.bytes.WithLabelValues(name).Set(float64(f.bytes))
	m.limit.WithLabelValues(name).Set(float64(f.limit))
}
