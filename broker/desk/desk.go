// Package desk is the way of the web page for people to NATS: it reads what the relays
// stored, finds who is there, and stores orders and what was done at the desk.
//
// It promises that it starts without NATS and uses it as soon as it is there; that an
// error says at once that NATS is away or what it refuses, and to whom it happens; that
// what another client stored in the streams is passed over and counted, and never shown
// as if a relay had written it; and that what it holds in memory is bounded. Pages, and
// who may see what, are left to others.
package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/discovery"
	"github.com/sine-relay/sine-relay/internal/logthrottle"
	"github.com/sine-relay/sine-relay/visit"
)

// Config is what the desk needs to know of NATS.
type Config struct {
	admin.Config
	// Logger gets what happens to the connection, and what could not be read.
	Logger *slog.Logger
	// Registerer gets the metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Desk is the desk's connection to NATS. It is safe for concurrent use.
type Desk struct {
	cfg        admin.Config
	log        *slog.Logger
	nc         *dial.Shared
	views      *admin.Views
	unreadable *prometheus.CounterVec
	throttle   *logthrottle.Throttle
	filled     *prometheus.GaugeVec
	nearlyFull *logthrottle.Throttle
	// decisions and checkIns are counted; the latter once somebody asks for them.
	decisions, checkIns *counter
	countCheckIns       sync.Once
	running             context.Context // until Close
	stop                context.CancelFunc
	stopped             sync.WaitGroup
}

// Open starts to connect. It fails only for what can never work: a NATS that is away is
// tried until [Desk.Close].
func Open(cfg Config) (*Desk, error) {
	nc, err := dial.ConnectShared(cfg.NATS, cfg.Logger, nats.Name("sine-relay desk"))
	if err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	views, err := admin.NewViews(cfg.Config, nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("desk: %w", err)
	}
	d := &Desk{cfg: views.Config(), log: cfg.Logger, nc: nc, views: views, throttle: logthrottle.New(time.Minute), nearlyFull: logthrottle.New(time.Hour)}
	f := promauto.With(cfg.Registerer)
	d.unreadable = f.NewCounterVec(prometheus.CounterOpts{
		Name: "sine_relay_desk_unreadable_messages_total",
		Help: "Messages of a stream that the desk passed over because it cannot read them: another client than the relay stored them. One that is read again counts again.",
	}, []string{"stream"})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sine_relay_desk_nats_connected",
		Help: "1 while the desk is connected to NATS.",
	}, func() float64 {
		if nc.Connected() != nil {
			return 0
		}
		return 1
	})
	for _, stream := range []string{d.cfg.Streams.Events.Name, d.cfg.Streams.Decisions.Name, d.cfg.Streams.Audit.Name} {
		d.unreadable.WithLabelValues(stream)
	}
	d.filled = f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sine_relay_desk_audit_filled_ratio",
		Help: "Which part of the stream of what is done at the desk is taken, from 0 to 1. At 1, no name is shown and no override given. NaN while it is not known.",
	}, []string{"stream"})
	d.filled.WithLabelValues(d.cfg.Streams.Audit.Name).Set(math.NaN())
	d.decisions = d.newCounter(d.cfg.Streams.Decisions.Name, d.cfg.Streams.Subjects.Decision("*", "*"), d.decision)
	d.checkIns = d.newCounter(d.cfg.Streams.Events.Name, d.cfg.Streams.Subjects.Event("*", visit.KindCheckedIn), d.checkIn)
	d.running, d.stop = context.WithCancel(context.Background())
	d.stopped.Go(func() { d.watchAudit(d.running) })
	d.stopped.Go(func() { d.decisions.run(d.running) })
	return d, nil
}

// Close disconnects. Who waits is disconnected.
func (d *Desk) Close() {
	d.stop()
	d.nc.Close()
	d.stopped.Wait()
}

// Connected returns nil while NATS can be reached, else why it cannot.
func (d *Desk) Connected() error { return d.nc.Connected() }

// passOver counts a message that cannot be read.
func (d *Desk) passOver(stream string, err error) {
	d.unreadable.WithLabelValues(stream).Inc()
	if n := d.throttle.Due(stream, time.Now()); n > 0 {
		d.log.Warn("passed over what cannot be read", "stream", stream, "messages", n, "last", err.Error())
	}
}

// Relays are those that answer now, in the order of their ids. An incomplete search
// returns what was found and an error.
func (d *Desk) Relays(ctx context.Context) ([]visit.Relay, error) {
	found, search, err := d.views.Relays(ctx)
	return found, incomplete("relays", search, err)
}

// Deciders are those that answer now, as [Desk.Relays].
func (d *Desk) Deciders(ctx context.Context) ([]visit.Decider, error) {
	found, search, err := d.views.Deciders(ctx)
	return found, incomplete("deciders", search, err)
}

func incomplete(of string, d discovery.Outcome, err error) error {
	if err == nil && d.String() != "" {
		err = fmt.Errorf("the search for %s is incomplete: %s", of, d)
	}
	return err
}

// Quarantined calls fn for each message of the quarantine, oldest first, until fn returns
// an error, which it returns. Of one that another client stored, what can be read of it
// is set.
func (d *Desk) Quarantined(ctx context.Context, fn func(sequence uint64, stored time.Time, q visit.Quarantined) error) error {
	return d.views.Quarantined(ctx, func(k admin.Kept) error { return fn(k.Sequence, k.Stored, k.Quarantined) })
}

// errSite is for a name that would be a pattern in a subject.
var errSite = errors.New("not the name of a site")

// checkSite refuses what is neither a site nor empty.
func checkSite(site string) error {
	if site != "" && !visit.ValidName(site) {
		return errSite
	}
	return nil
}
