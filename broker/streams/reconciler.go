package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// checkInterval is between two checks of streams that were fit, and
	// recheckInterval of others.
	checkInterval   = 30 * time.Second
	recheckInterval = 2 * time.Second
	// checkPause keeps those who miss a stream from checking all the time.
	checkPause = 250 * time.Millisecond
	// afterDeletion is how long a stream that was there is left alone. NATS
	// forgets a deleted stream and then takes its files away, with those of a
	// new one that stands in their place by then: it would store nothing
	// until the server is restarted (2.15, filestore.go, Delete).
	afterDeletion = 500 * time.Millisecond
)

// Reconciler creates the streams that are absent and watches over those that are
// there. It is safe for concurrent use.
type Reconciler struct {
	conn    *conn.Conn
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	streams []*stream
	wanted  chan struct{}
	// inspected is called with what an inspection found in the stream of a root.
	inspected func(root visit.Root, bytes, limit int64)
	// lost is called when a stream has lost what it had acknowledged.
	lost func(root visit.Root)

	mu      sync.Mutex
	general error           // a fault that is not that of a single stream
	warned  map[string]bool // warnings that were logged
}

// stream is one stream and what was last found about it.
type stream struct {
	want spec

	// Guarded by the reconciler's mutex.
	verified bool   // found fit at least once
	fault    error  // unusable, and a person must help
	pending  error  // could not be inspected
	drift    drifts // differs from what is wanted, but works
	refusal  *refusal
	dedupe   time.Duration
	// troubled is set while refusal is.
	troubled atomic.Bool
	// batches is set while the stream allows atomic batches and they are wanted.
	batches atomic.Bool
	looked  Inspection
	// ours is set where the stream did not exist before this process created it.
	ours atomic.Bool
	// acknowledged is the highest sequence that was.
	acknowledged atomic.Uint64
	loss         loss
}

// Options are what a reconciler needs beside the configuration.
type Options struct {
	Conn   *conn.Conn
	Logger *slog.Logger
	// Registerer gets the metrics; nil registers none. Bucket is the stream of the
	// standing orders, which others look after.
	Registerer prometheus.Registerer
	Bucket     string
	// Inspected is called with what an inspection found in the stream of a root: how
	// many bytes, of how many.
	Inspected func(root visit.Root, bytes, limit int64)
	// Lost is called when the stream of a root no longer has what it had acknowledged. It must not
	// wait.
	Lost func(root visit.Root)
}

// New returns a reconciler for a complete configuration.
func New(cfg Config, o Options) *Reconciler {
	r := &Reconciler{
		conn: o.Conn, cfg: cfg, log: o.Logger, inspected: o.Inspected, lost: o.Lost,
		wanted: make(chan struct{}, 1), warned: make(map[string]bool),
	}
	names := []string{o.Bucket}
	for _, want := range specs(cfg) {
		r.streams = append(r.streams, &stream{want: want, pending: errors.New("not checked yet")})
		names = append(names, want.name)
	}
	r.metrics = newMetrics(o.Registerer, names)
	return r
}

// StreamOf is the name of the stream of a root, if it has one.
func (r *Reconciler) StreamOf(root visit.Root) (string, bool) {
	if s := r.streamFor(root); s != nil {
		return s.want.name, true
	}
	return "", false
}

func (r *Reconciler) streamFor(root visit.Root) *stream {
	for _, s := range r.streams {
		if s.want.root == root {
			return s
		}
	}
	return nil
}

// Batches reports whether a stream takes atomic batches and they are wanted.
func (r *Reconciler) Batches(root visit.Root) bool {
	s := r.streamFor(root)
	return s != nil && s.batches.Load()
}

// NoBatches notes that a stream refused an atomic batch because it does not allow them.
func (r *Reconciler) NoBatches(root visit.Root) {
	if s := r.streamFor(root); s != nil && s.batches.Swap(false) {
		r.log.Warn("the stream does not allow atomic batches any more", "stream", s.want.name)
		r.Trigger()
	}
}

// Trigger has the streams checked soon.
func (r *Reconciler) Trigger() {
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

// Run checks the streams until ctx ends: at each connect, when one is missed, and from
// time to time.
func (r *Reconciler) Run(ctx context.Context) {
	for ctx.Err() == nil {
		connected := r.conn.NextConnect()
		r.Check(ctx)
		wait(ctx, connected, nil, checkPause/2+rand.N(checkPause)) // spread over relays
		wait(ctx, connected, r.wanted, r.interval())
	}
}

func wait(ctx context.Context, connected, wanted <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wanted:
	case <-connected:
	case <-ctx.Done():
	}
}

func (r *Reconciler) interval() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.streams {
		if s.fault != nil || s.pending != nil || s.refusal != nil || !s.loss.suspected.IsZero() {
			return recheckInterval
		}
	}
	if r.general != nil {
		return recheckInterval
	}
	return checkInterval
}

// Check inspects everything once. What was found before stands while NATS is away.
func (r *Reconciler) Check(ctx context.Context) {
	if !r.conn.Connected() {
		return
	}
	fault, err := r.overlap(ctx)
	if err != nil {
		for _, s := range r.streams {
			r.conclude(s, finding{pending: err})
		}
		return
	}
	if fault == nil {
		fault = r.payloadFault()
	}
	r.mu.Lock()
	r.general = fault
	r.mu.Unlock()
	if fault != nil {
		r.warn(fault)
	}
	for _, s := range r.streams {
		acknowledged, began := s.acknowledged.Load(), time.Now() // before, or the stream may seem to be behind
		f := r.inspectOrCreate(ctx, s)
		r.conclude(s, f)
		r.compareLast(s, acknowledged, began, f)
	}
}

// overlap returns a fault when a stream covers the check-in requests. The error says
// that it cannot be known yet.
func (r *Reconciler) overlap(ctx context.Context) (fault, err error) {
	all := r.cfg.Subjects.All(visit.RootAsk)
	fault, err = Overlap(ctx, r.conn, all)
	if errors.Is(err, visit.ErrDenied) {
		r.warn(fmt.Errorf("cannot check whether a stream covers the check-in requests on %s: allow the relay's user to publish to %sSTREAM.NAMES", all, apiPrefix))
		return nil, nil
	}
	return fault, err
}

// payloadFault compares NATS' limit with our largest message.
func (r *Reconciler) payloadFault() error {
	limit, largest := r.conn.MaxPayload(), LargestMessage(r.cfg.BodyLimit)
	if limit == 0 || limit >= largest {
		return nil
	}
	return fmt.Errorf("NATS accepts messages of at most %d bytes, the largest of the relay has %d: raise max_payload of the NATS server or lower the relay's body limit", limit, largest)
}
