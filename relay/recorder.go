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

// recorder stores records of decisions. Nobody waits for it: a record never delays a
// response and never fails one.
type recorder struct {
	publisher Publisher
	subjects  visit.Subjects
	budget    time.Duration
	metrics   *metrics
	places    *share.Limiter
	workers   *workers

	mu      sync.Mutex
	closed  bool
	pending int
	idle    chan struct{} // closed when nothing is pending any more, once closed
}

func newRecorder(cfg Config, m *metrics) *recorder {
	return &recorder{
		publisher: cfg.Publisher, subjects: cfg.Subjects, budget: cfg.Limits.StoreBudget, metrics: m,
		places: share.NewLimiter(maxRecords), workers: newWorkers(), idle: make(chan struct{}),
	}
}

// reserve reserves a place for a record of an integration that is to come. It
// reports false when there is none, and the record is lost.
func (r *recorder) reserve(integration string) (share.Reservation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reserved, ok := r.places.TryAcquire(integration, 1)
	switch {
	case ok && !r.closed:
		r.pending++
		return reserved, true
	case ok:
		reserved.Release()
	}
	r.metrics.records.WithLabelValues("dropped").Inc()
	return share.Reservation{}, false
}

// store publishes a record for which there is a place.
func (r *recorder) store(rec visit.Record, reserved share.Reservation) {
	defer r.done()
	defer reserved.Release()
	ctx, cancel := context.WithTimeout(context.Background(), r.budget)
	defer cancel()
	label := "stored"
	m, err := rec.Message(r.subjects)
	if err == nil {
		var receipt visit.Receipt
		receipt, err = r.publisher.Publish(ctx, m)
		if receipt.Spooled {
			label = "spooled"
		}
	}
	if err != nil {
		label = "failed"
	}
	r.metrics.records.WithLabelValues(label).Inc()
}

func (r *recorder) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending--; r.pending == 0 && r.closed {
		r.end()
	}
}

// end is for when nothing is pending and nothing can come.
func (r *recorder) end() {
	r.workers.close()
	close(r.idle)
}

// close waits until every record is stored or given up, or ctx ends.
func (r *recorder) close(ctx context.Context) {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		if r.pending == 0 {
			r.end()
		}
	}
	r.mu.Unlock()
	select {
	case <-r.idle:
	case <-ctx.Done():
	}
}

// recordDecision has the decision about a check-in request recorded. Nobody waits for it.
func (r *Relay) recordDecision(x *exchange, key visit.VisitKey, order policy.ActiveOrder, decision policy.Decision, p *poll) {
	rec := visit.Record{
		RequestID: x.id, Reference: visit.Reference(x.id), Trace: x.trace, Site: x.in.Site, Integration: x.in.Name, ExternalID: x.in.ExternalID,
		Received: x.received(), Visit: key, Synthetic: x.synthetic,
		Verdict: decision.Verdict, Situation: string(decision.Situation), Rule: decision.Rule, Missing: x.missing,
		Decider: decision.By, Fallback: decision.Fallback, TookMs: milliseconds(time.Since(x.start)), Policy: x.in.PolicyVersion,
	}
	if o := order.Order; o.Kind != "" {
		rec.Order = &visit.OrderNote{Kind: o.Kind, ID: o.Identity(), By: o.By, User: o.User, Account: o.Account, Since: o.Since}
	}
	reserved, ok := r.recorder.reserve(x.in.Name)
	if !ok {
		if p != nil {
			go p.drain()
		}
		return
	}
	r.recorder.workers.run(func() {
		if p != nil {
			p.drain()
			rec.Votes = r.votes(p)
		}
		r.recorder.store(rec, reserved)
	})
}

// votes are the deciders' parts for the record.
func (r *Relay) votes(p *poll) []visit.Vote {
	var all []visit.Vote
	for _, v := range p.ballot.Records() {
		all = append(all, visit.Vote{
			Decider: v.Decider, Version: versionOf(p.versions[v.Decider]), Shadow: v.Shadow,
			Situation: string(v.Situation), Verdict: v.Verdict, Fallback: v.Fallback, TookMs: milliseconds(v.Took),
		})
		if v.Agreement != "" {
			r.metrics.shadows.WithLabelValues(p.in.Name, v.Decider, string(v.Agreement)).Inc()
		}
	}
	return all
}

var versionForm = regexp.MustCompile(`^[A-Za-z0-9._+-]+$`)

// versionOf keeps anything but a version out of a record: a decider could put
// any text there.
func versionOf(text string) string {
	if len(text) > 64 || !versionForm.MatchString(text) {
		return ""
	}
	return text
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// recordResults are the results of a record, for metrics.
var recordResults = []string{"stored", "spooled", "failed", "dropped"}
