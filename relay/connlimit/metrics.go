package connlimit

import "github.com/prometheus/client_golang/prometheus"

// metrics are of one listener; those of several may be in one registry.
type metrics struct{ dropped, invalid *prometheus.CounterVec }

func newMetrics(c Config, open func() int) metrics {
	label := prometheus.Labels{"listener": c.Listener}
	m := metrics{invalid: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sine_relay", Name: "http_requests_invalid_total", ConstLabels: label,
		Help: "Requests that the server answered or ended by itself, because it could not read them, and TLS handshakes that failed. They have no request id and are in no other metric.",
	}, []string{"reason"}), dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sine_relay", Name: "connections_dropped_total", ConstLabels: label,
		Help: "Connections that the relay closed because no more may be open: unauthenticated or idle ones, and those that an integration has beyond its share, made room for another, and a new one found none where all others were being answered.",
	}, []string{"reason"})}
	for _, reason := range reasons {
		m.dropped.WithLabelValues(reason)
	}
	for reason := range remedies {
		m.invalid.WithLabelValues(reason)
	}
	if c.Registerer == nil {
		return m
	}
	c.Registerer.MustRegister(m.dropped, m.invalid,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "sine_relay", Name: "connections", ConstLabels: label, Help: "Open connections of a listener.",
		}, func() float64 { return float64(open()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "sine_relay", Name: "connections_limit", ConstLabels: label, Help: "Connections of a listener that may be open.",
		}, func() float64 { return float64(c.Max) }))
	return m
}
