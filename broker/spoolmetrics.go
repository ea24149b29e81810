package broker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker/spool"
)

// spoolMetrics are the spool's side of the ledger: recovered + spooled = drained
// + set aside + waiting, when nothing is in flight.
type spoolMetrics struct {
	spooled, drained, setAside, refused prometheus.Counter
}

func newSpoolMetrics(reg prometheus.Registerer, s *spool.Spool) *spoolMetrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "sine_relay_spool_" + name, Help: help})
	}
	gauge := func(name, help string, value func(spool.Stats) float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sine_relay_spool_" + name, Help: help}, func() float64 { return value(s.Stats()) })
	}
	counter("recovered_total", "Ledger: messages that an earlier process left in the spool.").Add(float64(s.Stats().Entries))
	gauge("messages", "Ledger: messages that wait in the spool.", func(s spool.Stats) float64 { return float64(s.Entries) })
	gauge("bytes", "Bytes of the messages that wait.", func(s spool.Stats) float64 { return float64(s.Bytes) })
	gauge("limit_bytes", "Bytes that may wait; beyond it facts are refused.", func(s spool.Stats) float64 { return float64(s.MaxBytes) })
	gauge("expired_messages", "Messages that wait for longer than SINE_RELAY_SPOOL_MAX_AGE.", func(s spool.Stats) float64 { return float64(s.Expired) })
	gauge("oldest_timestamp_seconds", "Time since when the oldest message waits, 0 if there is none.", func(s spool.Stats) float64 {
		if s.Oldest.IsZero() {
			return 0
		}
		return float64(s.Oldest.UnixMilli()) / 1000
	})
	return &spoolMetrics{
		spooled:  counter("spooled_total", "Ledger: messages that went into the spool."),
		drained:  counter("drained_total", "Ledger: messages that went from the spool into their stream."),
		setAside: counter("set_aside_total", "Ledger: messages that went from the spool into the quarantine, because their stream refused them time and again."),
		refused:  counter("refused_total", "Messages that the spool did not take: it is full, or its disk fails."),
	}
}
