package streams

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Status is what was last found about one stream.
type Status struct {
	Name string
	// Verified is set once the stream was found fit; it stays set.
	Verified bool
	// Fault is why the stream is unusable, or nil.
	Fault error
	// Pending is why the last inspection of the stream found nothing, or nil.
	Pending error
	// Refused is why the stream did not store the last message, or nil.
	Refused error
	// Lost is that the stream lost messages that it had acknowledged, in the last hour,
	// or nil.
	Lost error
	// Drift has a line for each difference with which the stream still works.
	Drift []string
}

// Line is the status in one line.
func (s Status) Line() string {
	switch {
	case s.Fault != nil:
		return s.Fault.Error()
	case isWillNotLast(s.Refused):
		return fmt.Sprintf("stream %s: %v", s.Name, s.Refused)
	case s.Refused != nil:
		return s.Refused.Error()
	case s.Pending != nil:
		return fmt.Sprintf("stream %s: %v", s.Name, s.Pending)
	default:
		return fmt.Sprintf("stream %s: verified", s.Name)
	}
}

// State returns what was last found, and a fault that a person must mend, or nil.
func (r *Reconciler) State() (all []Status, fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	faults := []error{r.general}
	for _, s := range r.streams {
		faults = append(faults, s.fault)
		all = append(all, Status{
			Name: s.want.name, Verified: s.verified, Fault: s.fault, Pending: s.pending, Refused: s.refused(), Lost: s.loss.recent(), Drift: s.drift.lines(s.want.name),
		})
	}
	return all, InOneLine(faults...)
}

// InOneLine joins errors for a log line, where errors.Join would break it. What occurs
// twice stands there once.
func InOneLine(all ...error) error {
	var texts []string
	for _, err := range all {
		if err != nil && !slices.Contains(texts, err.Error()) {
			texts = append(texts, err.Error())
		}
	}
	if texts == nil {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}

// Report takes over what others found about the stream of the standing orders.
func (r *Reconciler) Report(stream string, fault error, differs []Drift) {
	f := finding{fault: fault, drift: differs}
	r.metrics.setStream(stream, f)
	r.metrics.usable.WithLabelValues(stream).Set(boolValue(f.fit() && r.cfg.StoreFault(stream) == nil))
	for _, line := range f.drift.lines(stream) {
		r.warn(errors.New(line))
	}
}

// metrics are those of the streams. Every combination of labels exists from the start.
type metrics struct {
	usable *prometheus.GaugeVec
	drift  *prometheus.GaugeVec
	full   *prometheus.GaugeVec
	bytes  *prometheus.GaugeVec
	limit  *prometheus.GaugeVec
	losses *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, streams []string) *metrics {
	f := promauto.With(reg)
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: "sine_relay_stream_" + name, Help: help}, labels)
	}
	m := &metrics{
		usable: gauge("usable", "1 when the stream was usable at the last check, and stored the last message unless it is full.", "stream"),
		drift:  gauge("drift", "1 when a field of the stream differs from the relay's settings, and the stream is usable.", "stream", "field"),
		full:   gauge("full", "1 while the stream refuses messages because it is full, by the last reply.", "stream"),
		bytes:  gauge("bytes", "Bytes in the stream at the last check.", "stream"),
		limit:  gauge("limit_bytes", "Maximum bytes of the stream, 0 without a limit or before the first check.", "stream"),
		losses: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_stream_losses_total", Help: "How often the stream no longer had messages that it had acknowledged to this relay: NATS lost them, or the stream was deleted.",
		}, []string{"stream"}),
	}
	for _, stream := range streams {
		m.setStream(stream, finding{})
		m.usable.WithLabelValues(stream).Set(0)
		m.full.WithLabelValues(stream).Set(0)
		m.losses.WithLabelValues(stream)
	}
	return m
}

// setStream takes over what an inspection found. Whether the stream is usable it does
// not tell.
func (m *metrics) setStream(name string, f finding) {
	for _, field := range driftFields {
		m.drift.WithLabelValues(name, field).Set(0)
	}
	for _, one := range f.drift {
		m.drift.WithLabelValues(name, one.Field).Set(1)
	}
	m.bytes.WithLabelValues(name).Set(float64(f.bytes))
	m.limit.WithLabelValues(name).Set(float64(f.limit))
}

func boolValue(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// conclude takes over what was found about a stream.
func (r *Reconciler) conclude(s *stream, f finding) {
	if f.pending == nil {
		r.metrics.setStream(s.want.name, f)
	}
	r.mu.Lock()
	fresh := !s.verified && f.fit()
	s.verified = s.verified || f.fit()
	s.pending = f.pending
	if f.pending == nil {
		s.fault, s.drift, s.dedupe = f.fault, f.drift, f.dedupe
		s.batches.Store(f.batches)
		r.doubt(s)
		r.relieve(s, f.level)
	} else if s.refusal != nil {
		s.refusal.interrupted = true
	}
	r.mu.Unlock()
	if f.pending != nil {
		return
	}
	if r.inspected != nil {
		r.inspected(s.want.root, f.bytes, f.limit)
	}
	if f.fault != nil {
		r.warn(f.fault)
	}
	for _, line := range f.drift.lines(s.want.name) {
		r.warn(errors.New(line))
	}
	if fresh {
		r.log.Info("stream verified", "stream", s.want.name)
	}
	if fresh && s.want.batches && !f.batches {
		r.log.Info("no group commit: "+f.obstacle, "stream", s.want.name, "remedy", f.remedy)
	}
}

// warn logs each thing once.
func (r *Reconciler) warn(what error) {
	r.mu.Lock()
	again := r.warned[what.Error()]
	r.warned[what.Error()] = true
	r.mu.Unlock()
	if !again {
		r.log.Warn("streams", "found", what.Error())
	}
}
