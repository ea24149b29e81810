package relay

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/relay/drift"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// drifts follows which fields the bodies of each integration have. What it counts it
// keeps in arrays and shows at a scrape: as counters of their own, these would double the
// series that each integration keeps in memory.
type drifts struct {
	log *slog.Logger

	mu      sync.Mutex
	watches map[string]*watched
}

// watched is an integration that is followed.
type watched struct {
	*drift.Watch
	fields *fields.Fields
}

func newDrifts(log *slog.Logger, reg prometheus.Registerer) *drifts {
	d := &drifts{log: log, watches: map[string]*watched{}}
	reg.MustRegister(d)
	return d
}

// swap follows the integrations of a snapshot from now on. What is known of one that
// stays is kept, but for the fields that are looked for at other places.
func (d *drifts) swap(s *snapshot, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.watches
	d.watches = make(map[string]*watched, len(s.integrations))
	for name, in := range s.integrations {
		w := before[name]
		switch {
		case w == nil:
			w = &watched{drift.New(now), in.Fields}
		case in.Fields != w.fields:
			w.Reset(in.Fields.Changed(w.fields))
			w = &watched{w.Watch, in.Fields}
		}
		d.watches[name], in.drift = w, w.Watch
	}
}

// note notes which fields a delivery has. One that came before says nothing new, and a
// test says nothing of what Sine sends.
func (r *Relay) note(x *exchange, b *fields.Body, duplicate bool) {
	if duplicate || x.synthetic || !byPerson(x.kind, b) {
		return
	}
	change := x.in.drift.Observe(x.kind, b.Found(), drift.SumOf(b), x.start, x.in.keysOf(b, r.limits))
	if len(change.Names)+len(change.Began)+len(change.Ended) > 0 {
		r.drifts.report(x.in.Name, change)
	}
}

// byPerson reports whether a person did what a body is about. A check-out that nobody made
// is left out: a burst of passes that expire, without answers, must not look as if
// the answers had gone.
func byPerson(kind visit.Kind, b *fields.Body) bool {
	return kind != visit.KindCheckedOut || b.Cause != visit.CauseExpired && b.Cause != visit.CauseLeftArea
}

// keysOf reads the keys of a body, when it is called.
func (in *Integration) keysOf(b *fields.Body, limits Limits) func() drift.Keys {
	return func() (k drift.Keys) {
		if report, reason := in.Fields.Explain(b.Source, limits.JSONDepth); reason == "" {
			k = drift.KeysOf(report)
		}
		return k
	}
}

// report logs what has changed.
func (d *drifts) report(integration string, c drift.Change) {
	if len(c.Names) > 0 {
		d.log.Info("unknown keys", "integration", integration, "keys", c.Names)
	}
	for _, one := range c.Began {
		d.log.Warn("field drift", "integration", integration, "kind", string(one.Kind), "field", string(one.Field), "missing", one.Missing, "new_keys", one.Keys)
	}
	for _, one := range c.Ended {
		d.log.Info("field drift ended", "integration", integration, "kind", string(one.Kind), "field", string(one.Field))
	}
}

// maxDriftLines bounds [Relay.DriftLines]: a field that Sine renames is missing everywhere.
const maxDriftLines = 20

// DriftLines say which fields were there and are missing, a line for each of the first
// twenty, for the details of the readiness.
func (r *Relay) DriftLines() (lines []string) {
	for _, in := range r.Integrations() {
		for _, one := range in.drift.Drifts() {
			lines = append(lines, fmt.Sprintf("integration %s: %s", in.Name, missingText(one)))
		}
	}
	slices.Sort(lines)
	if more := len(lines) - maxDriftLines; more > 0 {
		lines = append(lines[:maxDriftLines], fmt.Sprintf("%d more fields are missing that were there before", more))
	}
	return lines
}

func missingText(d drift.Drift) string {
	text := fmt.Sprintf("%s is missing from the last %d bodies of kind %s, and was there before", d.Field, d.Missing, d.Kind)
	if len(d.Keys) > 0 {
		text += "; new since then: " + strings.Join(d.Keys, ", ")
	}
	return text
}

var (
	fieldsDesc = prometheus.NewDesc("sine_relay_fields_total",
		"Bodies by whether a field was found in them, for fields that were found at least once since the start. Tests, repeats, and check-outs of expired passes or by leaving the area are left out.", []string{"integration", "field", "result"}, nil)
	unknownKeysDesc = prometheus.NewDesc("sine_relay_unknown_keys_total",
		"Different keys in bodies that lead to no field, each counted when it first comes.", []string{"integration"}, nil)
	driftDesc = prometheus.NewDesc("sine_relay_field_drift",
		"1 while a field that was there is missing from all bodies of the kind; absent otherwise.", ofKind, nil)
	foundDesc = prometheus.NewDesc("sine_relay_field_found_timestamp_seconds",
		"When the field was last found in a body of the kind, for fields that were found at least once since the start.", ofKind, nil)
	missingDesc = prometheus.NewDesc("sine_relay_field_missing_bodies",
		"From how many bodies of the kind in a row a field has been missing since a new key came, at most 5; absent where it is not.", ofKind, nil)
	missingSinceDesc = prometheus.NewDesc("sine_relay_field_missing_since_timestamp_seconds",
		"When the first of these bodies came.", ofKind, nil)
	missingChanceDesc = prometheus.NewDesc("sine_relay_field_missing_probability",
		"How probable it is that these bodies lack the field by chance, by the bodies before them.", ofKind, nil)

	ofKind = []string{"integration", "kind", "field"}
)

// Describe implements [prometheus.Collector].
func (d *drifts) Describe(to chan<- *prometheus.Desc) {
	to <- fieldsDesc
	to <- unknownKeysDesc
	for _, one := range []*prometheus.Desc{driftDesc, foundDesc, missingDesc, missingSinceDesc, missingChanceDesc} {
		to <- one
	}
}

// Collect implements [prometheus.Collector].
func (d *drifts) Collect(to chan<- prometheus.Metric) {
	d.mu.Lock()
	watches := d.watches // replaced, never changed
	d.mu.Unlock()
	for integration, w := range watches {
		counts, keys := w.Counts()
		to <- prometheus.MustNewConstMetric(unknownKeysDesc, prometheus.CounterValue, float64(keys), integration)
		for _, c := range counts {
			to <- prometheus.MustNewConstMetric(fieldsDesc, prometheus.CounterValue, float64(c.Found), integration, string(c.Field), "found")
			to <- prometheus.MustNewConstMetric(fieldsDesc, prometheus.CounterValue, float64(c.Missing), integration, string(c.Field), "missing")
		}
		gauge := func(desc *prometheus.Desc, value float64, kind visit.Kind, field fields.Field) {
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, integration, string(kind), string(field))
		}
		for _, one := range w.Drifts() {
			gauge(driftDesc, 1, one.Kind, one.Field)
		}
		for _, s := range w.States() {
			gauge(foundDesc, seconds(s.Found), s.Kind, s.Field)
			if s.Missing > 0 {
				gauge(missingDesc, float64(s.Missing), s.Kind, s.Field)
				gauge(missingSinceDesc, seconds(s.Since), s.Kind, s.Field)
				gauge(missingChanceDesc, s.Chance, s.Kind, s.Field)
			}
		}
	}
}

// seconds since 1970, to the millisecond.
func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }
