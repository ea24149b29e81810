package outbox

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/broker/outbox/window"
)

// metrics are the spool's side of the ledger: recovered + spooled = forwarded
// + quarantined + waiting, when nothing is in flight.
type metrics struct {
	spooled, forwarded, setAside, refused prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, s *spool.Spool, health *health) *metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "sine_relay_spool_" + name, Help: help})
	}
	f.NewCounterFunc(prometheus.CounterOpts{
		Name: "sine_relay_spool_recovered_total", Help: "Ledger: messages found in the spool at the start.",
	}, func() float64 { return float64(s.Found()) })
	if reg != nil {
		reg.MustRegister(spoolGauges{s, health})
	}
	return &metrics{
		spooled:   counter("spooled_total", "Ledger: messages that went into the spool."),
		forwarded: counter("forwarded_total", "Ledger: messages that went from the spool into their stream."),
		setAside:  counter("quarantined_total", "Ledger: messages that went from the spool into the quarantine, because their stream refused them time and again."),
		refused:   counter("refused_total", "Messages that the spool did not take: it is full, or its disk fails."),
	}
}

// newWindowMetrics shows what the windows keep, and returns a counter of what was sent
// again.
func newWindowMetrics(cfg Config) (resent prometheus.Counter) {
	f := promauto.With(cfg.Registerer)
	sum := func(value func(window.Stats) int64) func() float64 {
		return func() (sum float64) {
			for _, w := range cfg.Windows {
				sum += float64(value(w.Stats()))
			}
			return sum
		}
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sine_relay_window_messages", Help: "Acknowledged messages that are kept for as long as NATS may take to sync them.",
	}, sum(func(s window.Stats) int64 { return s.Messages }))
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sine_relay_window_bytes", Help: "Bytes of the files of these messages.",
	}, sum(func(s window.Stats) int64 { return s.Bytes }))
	f.NewCounterFunc(prometheus.CounterOpts{
		Name: "sine_relay_window_left_out_total", Help: "Acknowledged messages that are not kept, because the disk was full, too slow or failed.",
	}, sum(func(s window.Stats) int64 { return s.LeftOut }))
	return f.NewCounter(prometheus.CounterOpts{
		Name: "sine_relay_window_resent_total", Help: "Acknowledged messages that were sent again, because NATS may have lost them.",
	})
}

// spoolGauges looks at the spool once for each scrape: it has to look at every
// message to find the oldest.
type spoolGauges struct {
	spool  *spool.Spool
	health *health
}

// nearlyFull is the fraction from which on a person should look.
const nearlyFull = 0.8

// gauges are the numbers, with what each says.
var gauges = []struct {
	desc  *prometheus.Desc
	value func(s spool.Stats) float64
}{
	{spoolGauge("messages", "Ledger: messages in the spool."), func(s spool.Stats) float64 { return float64(s.Entries) }},
	{spoolGauge("bytes", "Bytes of the messages in the spool."), func(s spool.Stats) float64 { return float64(s.Bytes) }},
	{spoolGauge("limit_bytes", "Maximum bytes of the messages in the spool; further events are refused."), func(s spool.Stats) float64 { return float64(s.MaxBytes) }},
	{spoolGauge("nearly_full", "1 while less than 20 % of the maximum bytes, or of what the disk can hold, is left."), func(s spool.Stats) float64 { return boolValue(s.Full >= nearlyFull) }},
	{spoolGauge("expired_messages", "Messages in the spool for longer than its maximum age."), func(s spool.Stats) float64 { return float64(s.Expired) }},
	{spoolGauge("oldest_timestamp_seconds", "Time at which the oldest message was spooled, 0 if there is none."), oldest},
}

// These follow what was last put, and the disk.
var (
	spoolDisk    = spoolGauge("disk_free_bytes", "Free bytes of the spool's disk. Absent if the system does not report them.")
	spoolFull    = spoolGauge("full", "1 while there is no space for the largest message, or the disk had none for the last one.")
	spoolUsable  = spoolGauge("usable", "1 while the spool is open and its disk works; otherwise events are refused while NATS cannot store them.")
	spoolDamaged = spoolGauge("damaged", "1 when a file of the spool was damaged, or was removed while it had messages.")
	spoolShares  = spoolGauge("shares_exhausted", "Integrations and kinds of messages that the spool refuses, because it is full or their share is exhausted.")
)

func spoolGauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("sine_relay_spool_"+name, help, nil, nil)
}

func boolValue(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

func oldest(s spool.Stats) float64 {
	if s.Oldest.IsZero() {
		return 0
	}
	return float64(s.Oldest.UnixMilli()) / 1000
}

// Describe and Collect make it a prometheus.Collector.
func (g spoolGauges) Describe(c chan<- *prometheus.Desc) {
	c <- spoolFull
	c <- spoolUsable
	c <- spoolShares
	c <- spoolDamaged
	c <- spoolDisk
	for _, one := range gauges {
		c <- one.desc
	}
}

func (g spoolGauges) Collect(c chan<- prometheus.Metric) {
	stats := g.spool.Stats()
	for _, one := range gauges {
		c <- prometheus.MustNewConstMetric(one.desc, prometheus.GaugeValue, one.value(stats))
	}
	room, disk := g.health.faults()
	full := errors.Is(disk, spool.ErrDiskFull) || stats.MaxBytes-stats.Bytes < g.health.largest
	c <- prometheus.MustNewConstMetric(spoolFull, prometheus.GaugeValue, boolValue(full))
	c <- prometheus.MustNewConstMetric(spoolUsable, prometheus.GaugeValue, boolValue(g.spool.Fault() == nil && disk == nil))
	c <- prometheus.MustNewConstMetric(spoolDamaged, prometheus.GaugeValue, boolValue(g.spool.Damaged() != nil))
	c <- prometheus.MustNewConstMetric(spoolShares, prometheus.GaugeValue, float64(len(room)))
	if stats.Disk.Size > 0 {
		c <- prometheus.MustNewConstMetric(spoolDisk, prometheus.GaugeValue, float64(stats.Disk.Free))
	}
}
