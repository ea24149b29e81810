package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker/discovery"
	"github.com/sine-relay/sine-relay/visit"
)

// monitorInterval is between two searches for deciders.
const monitorInterval = 15 * time.Second

// searchTimeout bounds one look.
const searchTimeout = 10 * time.Second

// monitor counts the programs that answer the check-in requests of each integration.
type monitor struct {
	server  *Server
	answers *prometheus.GaugeVec
	known   prometheus.Gauge
	ignored *prometheus.CounterVec
	note    atomic.Pointer[string] // what the last search missed, or nil
	counted map[[2]string]bool     // by integration and decider, at the last look
}

func newMonitor(srv *Server, reg prometheus.Registerer) *monitor {
	f := promauto.With(reg)
	m := &monitor{
		server: srv,
		answers: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sine_relay_deciders", Help: "Programs that answer an integration's check-in requests, as NATS discovery shows them.",
		}, []string{"integration", "decider"}),
		known: f.NewGauge(prometheus.GaugeOpts{
			Name: "sine_relay_deciders_known", Help: "1 while sine_relay_deciders could be counted.",
		}),
		ignored: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_decider_discovery_ignored_total", Help: "Replies to the search for deciders that were too large to be read, and searches that ended early because too many came.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"too_large", "too_many"} {
		m.ignored.WithLabelValues(reason)
	}
	m.counted = map[[2]string]bool{}
	for _, i := range srv.relay.Integrations() {
		for _, name := range i.DeciderNames() {
			m.answers.WithLabelValues(i.Name, name)
			m.counted[[2]string{i.Name, name}] = true
		}
	}
	return m
}

// run counts from time to time until ctx ends.
func (m *monitor) run(ctx context.Context) {
	tick := time.NewTicker(monitorInterval)
	defer tick.Stop()
	for {
		m.count(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// report logs what the search missed, and why. A NATS that is away is reported elsewhere.
func (m *monitor) report(d discovery.Outcome, err error) {
	m.ignored.WithLabelValues("too_large").Add(float64(d.Oversize))
	if d.Cut {
		m.ignored.WithLabelValues("too_many").Inc()
	}
	note := d.String()
	if err != nil && !errors.Is(err, visit.ErrDisconnected) {
		note = err.Error()
	}
	if before := m.note.Swap(&note); note != "" && (before == nil || *before != note) {
		m.server.Log.Warn("search for deciders", "reason", note)
	}
}

// lines are those of the readiness with its details.
func (m *monitor) lines() []string {
	if note := m.note.Load(); note != nil && *note != "" {
		return []string{"search for deciders: " + *note}
	}
	return nil
}

func (m *monitor) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	found, discovery, err := m.server.Broker.Deciders(ctx)
	m.report(discovery, err)
	// What was cut short counts nobody out: whoever floods the search must not
	// make it look as if nobody decides.
	if err != nil || discovery.Cut {
		m.known.Set(0)
		return
	}
	m.known.Set(1)
	subjects := visit.Subjects{Prefix: m.server.Settings.SubjectPrefix}
	before := m.counted
	m.counted = map[[2]string]bool{}
	for _, i := range m.server.relay.Integrations() {
		for _, name := range i.DeciderNames() {
			m.answers.WithLabelValues(i.Name, name).Set(float64(len(AnsweringFor(found, subjects.Ask(i.Site, name)))))
			m.counted[[2]string{i.Name, name}] = true
		}
	}
	for gone := range before {
		if !m.counted[gone] {
			m.answers.DeleteLabelValues(gone[0], gone[1])
		}
	}
}

// AnsweringFor returns those that answer the check-in requests on a subject.
func AnsweringFor(found []visit.Decider, subject string) (answering []visit.Decider) {
	for _, d := range found {
		if slices.ContainsFunc(d.Subjects, func(pattern string) bool { return Covers(pattern, subject) }) {
			answering = append(answering, d)
		}
	}
	return answering
}

// Covers reports whether a subscription to pattern gets what is sent to subject.
func Covers(pattern, subject string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range want {
		if token == ">" {
			return len(have) > i
		}
		if i >= len(have) || token != "*" && token != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}
