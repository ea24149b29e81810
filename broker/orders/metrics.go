package orders

import (
	"github.com/prometheus/client_golang/prometheus"
)

// orderGauges tell which orders are in force.
type orderGauges struct{ watcher *Watcher }

// Register has the metrics of a watcher collected; a nil registerer has not.
func Register(reg prometheus.Registerer, w *Watcher) {
	if reg != nil {
		reg.MustRegister(orderGauges{w})
	}
}

var (
	ordersKnown  = prometheus.NewDesc("sine_relay_standing_orders_known", "1 while the standing orders of every site are known; at other sites no visitor is accepted without a decider.", nil, nil)
	ordersHeard  = prometheus.NewDesc("sine_relay_standing_orders_read_timestamp_seconds", "Time at which the standing orders were last read, 0 for never.", nil, nil)
	orderInForce = prometheus.NewDesc("sine_relay_standing_order_in_force", "1 for each lockdown and override in force; the site * stands for all sites.", []string{"type", "site"}, nil)
	orderEntries = prometheus.NewDesc("sine_relay_standing_order_entries", "Entries of the bucket of standing orders that need attention: invalid and deleted ones have no effect, lost are lockdowns that are no longer in the bucket, doubtful are keys from which a lockdown may have been evicted, foreign are keys of sites without an integration.", []string{"state"}, nil)
)

// Describe and Collect make it a prometheus.Collector.
func (g orderGauges) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ordersKnown, ordersHeard, orderInForce, orderEntries} {
		c <- d
	}
}

func (g orderGauges) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s := g.watcher.Status()
	known := 0.0
	if s.Known {
		known = 1
	}
	gauge(ordersKnown, known)
	heard := 0.0
	if !s.AsOf.IsZero() {
		heard = float64(s.AsOf.UnixMilli()) / 1000
	}
	gauge(ordersHeard, heard)
	for state, n := range map[string]int{
		"invalid": s.InvalidCount, "deleted": s.DeletedCount, "lost": len(s.Lost), "doubtful": len(s.Doubt), "foreign": s.Foreign,
	} {
		gauge(orderEntries, float64(n), state)
	}
	for _, o := range g.watcher.InForce() {
		gauge(orderInForce, 1, string(o.Kind), o.Site)
	}
}
