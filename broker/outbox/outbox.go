// Package outbox is the one way for an event, a record of a decision and a quarantined
// body: into its stream, or else into the spool, and from there into the stream.
//
// It promises that [Outbox.Store] returns nil only once the message is stored, that
// what is in the spool is sent as soon as NATS takes it, and that messages with one
// ordering key reach the stream in the order in which their calls returned, within one
// relay. Across relays there is no order: readers go by ce-time.
package outbox

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/outbox/publish"
	"github.com/sine-relay/sine-relay/broker/outbox/resend"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/broker/outbox/window"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// roots are those that this release knows.
var roots = []visit.Root{visit.RootEvent, visit.RootDecision, visit.RootQuarantine}

// Outbox stores messages in NATS or in the spool, and moves them from there. It is safe
// for concurrent use.
type Outbox struct {
	conn       *conn.Conn
	publisher  *publish.Publisher
	shares     *Shares
	keys       keyedMutex
	spooler    *spooler // nil without a spool
	forwarders map[visit.Root]*forwarder
	resenders  map[visit.Root]*resend.Resender // of roots that have a window
}

// Config is what an outbox is made of. Without a spool, what NATS does not store is
// refused.
type Config struct {
	Conn     *conn.Conn
	Streams  *streams.Reconciler
	Subjects visit.Subjects
	Shares   *Shares
	Spool    *spool.Spool
	// Windows keep what NATS acknowledges before it syncs it, by root. They need a
	// spool. None where every message is synced.
	Windows map[visit.Root]*window.Window
	// LargestMessage is the size in bytes of the largest message that there may be.
	LargestMessage int64
	Logger         *slog.Logger
	Registerer     prometheus.Registerer
}

// New returns an outbox. It does not close spool and windows.
func New(cfg Config) *Outbox {
	o := &Outbox{conn: cfg.Conn, shares: cfg.Shares}
	o.publisher = publish.New(cfg.Conn, cfg.Streams, roots, o.stored)
	if cfg.Spool == nil {
		return o
	}
	o.spooler = newSpooler(cfg)
	o.forwarders = make(map[visit.Root]*forwarder)
	for root := range o.spooler.wake {
		o.forwarders[root] = o.newForwarder(root)
	}
	o.resenders = o.newResenders(cfg)
	return o
}

func (o *Outbox) newResenders(cfg Config) map[visit.Root]*resend.Resender {
	all := make(map[visit.Root]*resend.Resender)
	if len(cfg.Windows) == 0 {
		return all
	}
	resent := newWindowMetrics(cfg)
	for root, w := range cfg.Windows {
		all[root] = resend.New(resend.Config{
			Root: root, Conn: cfg.Conn, Streams: cfg.Streams, Publisher: o.publisher, Window: w, Spool: cfg.Spool, Lock: o.keys.lock,
			Passes:  func(err error) bool { return passes(err) && !ofSubject(err) },
			Spooled: func(n int) { o.spooler.metrics.spooled.Add(float64(n)) },
			Wake:    func() { o.spooler.wakeFor(root) },
			Logger:  cfg.Logger, Resent: resent,
		})
	}
	return all
}

// stored counts a message that its stream has acknowledged, and keeps it until NATS has
// synced it.
func (o *Outbox) stored(m visit.Message) {
	if m.Root == visit.RootQuarantine {
		o.shares.stored(m)
	}
	if r := o.resenders[m.Root]; r != nil {
		r.Window.Add(m)
	}
}

// resendsFirst reports whether messages of a root must wait, in the spool, for what is
// sent again.
func (o *Outbox) resendsFirst(root visit.Root) bool {
	r := o.resenders[root]
	return r != nil && r.ComesFirst()
}

// Resend has what the stream of a root acknowledged lately sent again, if it is kept: the
// stream has lost messages.
func (o *Outbox) Resend(root visit.Root) {
	if r := o.resenders[root]; r != nil {
		r.Resend()
	}
}

// Run empties the spool, if there is one, until ctx ends.
func (o *Outbox) Run(ctx context.Context) {
	if o.spooler == nil {
		return
	}
	var all sync.WaitGroup
	for _, f := range o.forwarders {
		all.Go(func() { f.run(ctx) })
	}
	all.Go(func() { o.spooler.health.probe(ctx) })
	for _, r := range o.resenders {
		all.Go(func() { r.Run(ctx) })
	}
	o.followRoots(ctx, &all)
	all.Wait()
}

// followRoots empties the spool of roots that only another release knows, whenever
// a file is opened that holds such messages.
func (o *Outbox) followRoots(ctx context.Context, all *sync.WaitGroup) {
	known := maps.Clone(o.forwarders)
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	for {
		for _, root := range o.spooler.spool.Roots() {
			if known[root] == nil {
				f := o.newForwarder(root)
				known[root] = f
				all.Go(func() { f.run(ctx) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// spooler puts messages into the spool.
type spooler struct {
	spool    *spool.Spool
	shares   *Shares
	subjects visit.Subjects
	log      *slog.Logger
	metrics  *metrics
	health   *health
	wake     map[visit.Root]chan struct{} // the forwarders; never changed
	// unresponsive is set while NATS is connected and acknowledges nothing: it hangs,
	// or the stream has no leader. Then the forwarders try, and no caller waits.
	unresponsive atomic.Bool
}

func newSpooler(cfg Config) *spooler {
	s := &spooler{spool: cfg.Spool, shares: cfg.Shares, subjects: cfg.Subjects, log: cfg.Logger, wake: make(map[visit.Root]chan struct{})}
	s.health = newHealth(s.spool, s.shares, cfg.LargestMessage)
	s.metrics = newMetrics(cfg.Registerer, s.spool, s.health)
	for _, root := range roots {
		s.wake[root] = make(chan struct{}, 1)
	}
	return s
}

// wakeFor tells the forwarder of a root that there is something to send.
func (s *spooler) wakeFor(root visit.Root) {
	select {
	case s.wake[root] <- struct{}{}:
	default:
	}
}

// put spools a message if the integration's share has room for it.
func (s *spooler) put(ctx context.Context, m visit.Message) error {
	owner, wanted := spoolOwner{m.Root, integrationOf(m)}, int64(0)
	err := s.spool.PutIf(ctx, spool.Entry{Message: m, Order: m.OrderingKey}, func(r spool.Room) error {
		wanted = r.Size
		return s.shares.allowsSpool(owner, r)
	})
	s.health.note(owner, wanted, err)
	if err != nil {
		return err
	}
	s.metrics.spooled.Inc()
	s.wakeFor(m.Root)
	return nil
}
