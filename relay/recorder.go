package relay

import (
	"context"
	"regexp"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/internal/share"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// maxRecords are on their way at once, of each integration its share; more are
// dropped and counted. It is far above what an outage leaves behind, since the
// spool takes them at once.
const maxRecords = 4096

// recorder sends records of decisions on their way. Nobody waits for it: a record
// never delays an answer and never fails one.
type recorder struct {
	publisher Publisher
	subjects  visit.Subjects
	budget    time.Duration
	metrics   *metrics
	places    *share.Limiter

	mu      sync.Mutex
	closed  bool
	pending int
	idle    chan struct{} // closed when nothing is pending any more, once closed
}

func newRecorder(cfg Config, limits Limits, m *metrics) *recorder {
	return &recorder{
		publisher: cfg.Publisher, subjects: cfg.Subjects, budget: limits.StoreBudget, metrics: m,
		places: share.NewLimiter(maxRecords), idle: make(chan struct{}),
	}
}

// expect reserves a place for a record of an integration that is to come. It
// reports false when there is none, and the record is lost.
func (r *recorder) expect(integration string) (share.Reservation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place, ok := r.places.TryAcquire(integration, 1)
	switch {
	case ok && !r.closed:
		r.pending++
		return place, true
	case ok:
		place.Release()
	}
	r.metrics.records.WithLabelValues("dropped").Inc()
	return share.Reservation{}, false
}

// store publishes a record for which there is a place.
func (r *recorder) store(rec visit.Record, place share.Reservation) {
	defer r.done()
	defer place.Release()
	ctx, cancel := context.WithTimeout(context.Background(), r.budget)
	defer cancel()
	m, err := rec.Message(r.subjects)
	if err == nil {
		var receipt visit.Receipt
		receipt, err = r.publisher.Publish(ctx, m)
		if err == nil && receipt.Spooled {
			r.metrics.records.WithLabelValues("spooled").Inc()
			return
		}
	}
	result := "stored"
	if err != nil {
		result = "failed"
	}
	r.metrics.records.WithLabelValues(result).Inc()
}

func (r *recorder) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending--; r.pending == 0 && r.closed {
		close(r.idle)
	}
}

// close waits until every record is stored or given up, or ctx ends.
func (r *recorder) close(ctx context.Context) {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		if r.pending == 0 {
			close(r.idle)
		}
	}
	r.mu.Unlock()
	select {
	case <-r.idle:
	case <-ctx.Done():
	}
}

// record has a check-in request's answer recorded. Nobody waits for it.
func (r *Relay) record(c *call, in *Integration, origin visit.Origin, st policy.ActiveOrder, given policy.Decision, h *hearing) {
	rec := visit.Record{
		RequestID: c.id, Reference: visit.Reference(c.id), Trace: c.trace, Site: in.Site, Integration: in.Name,
		Received: c.received(), Visit: origin.Visit, Synthetic: origin.Synthetic,
		Verdict: given.Verdict, Situation: string(given.Situation), Rule: given.Rule,
		Decider: given.By, Fallback: given.Fallback, TookMs: milliseconds(time.Since(c.start)), Policy: in.PolicyVersion,
	}
	if o := st.Order; o.Kind != "" {
		rec.Order = &visit.OrderNote{Kind: o.Kind, ID: o.Identity(), By: o.By, User: o.User, Account: o.Account, Since: o.Since}
	}
	place, ok := r.recorder.expect(in.Name)
	if !ok {
		if h != nil {
			go h.rest()
		}
		return
	}
	go func() {
		if h != nil {
			h.rest()
			rec.Votes = r.votes(h)
		}
		r.recorder.store(rec, place)
	}()
}

// votes are the deciders' parts for the record.
func (r *Relay) votes(h *hearing) []visit.Vote {
	var all []visit.Vote
	for _, p := range h.ballot.Records() {
		all = append(all, visit.Vote{
			Decider: p.Decider, Version: versionOf(h.versions[p.Decider]), Shadow: p.Shadow,
			Situation: string(p.Situation), Verdict: p.Verdict, Fallback: p.Fallback, TookMs: milliseconds(p.Took),
		})
		if p.Agreement != "" {
			r.metrics.shadows.WithLabelValues(h.in.Name, p.Decider, string(p.Agreement)).Inc()
		}
	}
	return all
}

var versionForm = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)

// versionOf keeps anything but a version out of a record: a decider could put
// any text there.
func versionOf(said string) string {
	if !versionForm.MatchString(said) {
		return ""
	}
	return said
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// recordResults are what can become of a record, for metrics.
var recordResults = []string{"stored", "spooled", "failed", "dropped"}
