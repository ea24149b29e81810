package orders

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/orders/ledger"
	"github.com/sine-relay/sine-relay/visit"
)

// Source is where the known orders come from.
type Source string

const (
	// SourceNone means that nothing is known.
	SourceNone Source = "none"
	// SourceKept is the state that an earlier process kept.
	SourceKept   Source = "kept"
	SourceBucket Source = "bucket"
)

// Status is where a watcher stands at one moment.
type Status struct {
	Source Source
	// Known is what [Watcher.Orders] says.
	Known bool
	// AsOf is when the whole bucket was last read, or what was kept was
	// written. It is zero for never.
	AsOf time.Time
	// Age is how long ago that was, whatever clocks do meanwhile.
	Age time.Duration
	// Err is why the bucket is not read or followed, or nil. It wraps
	// visit.ErrDenied for a lack of permission.
	Err error
	// Unfit is why the bucket may lose a lockdown, or nil, and Drift how else
	// it differs from one that is created here.
	Unfit error
	Drift []Drift
	// Doubt has the keys where a lockdown may have been pushed out of the bucket.
	Doubt []string
	// Lost are the lockdowns that the bucket no longer has although nobody
	// lifted them: it was deleted or purged. They stay in force until
	// [Book.Lift].
	Lost []visit.Order
	// Invalid has errors, which wrap [ErrInvalid], for the entries in the bucket
	// that count for nothing, deletions included: the first few of each key.
	// InvalidCount and DeletedCount are how many there are.
	Invalid                    []error
	InvalidCount, DeletedCount int
	// Foreign is how many keys the bucket has that concern none of the sites.
	Foreign int
	// Revision is that of the newest entry that was read.
	Revision uint64
	// SnapshotErr is why the next start will not find this state, or nil.
	SnapshotErr error
}

// Status says where the watcher stands.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Status{
		Source: w.source, Known: w.known(), AsOf: w.asOf, Err: w.err,
		Unfit: w.look.unfit, Drift: w.look.drift,
		Lost: w.entries.Lost(), Invalid: w.entries.Invalid(), Revision: w.entries.Revision(), SnapshotErr: w.snapshotErr,
	}
	if !w.heard.IsZero() {
		s.Age = time.Since(w.heard)
	}
	if w.purged {
		s.Doubt = append(s.Doubt, "every key: the bucket had entries and was purged or rolled up")
	}
	own := 0
	for _, r := range w.entries.Records() {
		s.InvalidCount += r.Invalid
		s.DeletedCount += r.Deletions
		if r.Doubt {
			s.Doubt = append(s.Doubt, r.Key)
		}
		if r.Entries > 0 {
			own++
		}
	}
	s.Foreign = max(0, w.look.keys-own)
	return s
}

// reading is one look at the whole bucket.
type reading struct {
	look    look
	entries ledger.Ledger
	keys    []string
	asked   time.Time
}

// renew takes over what the whole bucket says.
func (w *Watcher) renew(r reading) {
	now := time.Now()
	w.mu.Lock()
	// Who heard of everything until then knows what was there.
	missed := w.source == SourceNone || (w.heard.IsZero() || now.Sub(w.heard) > w.cfg.MaxAge) && r.look.last != w.look.last
	w.purged = (r.look.purged || r.entries.TookAll()) && (w.purged || missed)
	w.source, w.asOf, w.heard, w.look = SourceBucket, now, r.asked, r.look
	w.lastKeys, w.unread = r.keys, !w.covers(r.keys)
	entries := w.entries.Renewed(r.entries, r.look.limit, now)
	if wanted := w.keysLocked(); wanted != nil {
		entries = entries.Of(setOf(wanted))
	}
	w.mu.Unlock()
	w.take(entries)
	if w.cfg.Inspected != nil {
		w.cfg.Inspected(r.look.unfit, r.look.drift)
	}
}

// take makes entries the known ones.
func (w *Watcher) take(entries ledger.Ledger) {
	w.mu.Lock()
	w.entries, w.orders = entries, entries.Orders()
	w.mu.Unlock()
	w.changes.Tell(entries, string(w.source), time.Now())
	select {
	case w.changed <- struct{}{}:
	default: // it will see this state too
	}
}

// report notes whether the bucket is followed, and logs when that changes.
func (w *Watcher) report(err error) {
	if err != nil {
		err = fmt.Errorf("bucket %s: %w", w.cfg.Bucket, err)
	}
	w.mu.Lock()
	was := w.err
	w.err = err
	w.mu.Unlock()
	switch {
	case err == nil && was != nil:
		w.log.Info("watching standing orders", "bucket", w.cfg.Bucket)
	case err != nil && (was == nil || was.Error() != err.Error()):
		w.log.Warn("cannot watch standing orders", "err", err)
	}
}

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
