// Package broker sends check-in requests and events to NATS.
//
// It promises that a check-in request ends by its deadline, as soon as its end can be
// known, with a decision or with one of visit's errors that says why there is none; and
// that publishing returns nil only on the stream's acknowledgement, or once the message
// is in the spool. Nothing that ended in an error is sent later by itself, with the one
// exception of package conn.
//
// What a message says, how long one may wait, what a visitor gets as the response when
// there is no decision, and counting requests and events are left to others.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/discovery"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/broker/outbox"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// The names of the connections, in the log and the metrics.
const (
	connRequests = "check_in_requests"
	connEvents   = "events"
)

// Broker is a pair of connections to NATS and the streams behind one of them.
// It is safe for concurrent use.
type Broker struct {
	cfg Config
	log *slog.Logger
	// requests and events are apart, so that neither path waits behind the
	// other's bytes. More than one connection per path is slower.
	requests, events *conn.Conn
	replies          *replies
	streams          *streams.Reconciler
	shares           *outbox.Shares
	outbox           *outbox.Outbox
	orders           *orders.Watcher
	ordersOnce       atomic.Bool // the orders were known
	discoverer       *discovery.Client
	service          atomic.Pointer[discovery.Service]
	stop             context.CancelFunc
	stopped          sync.WaitGroup
	closing          sync.Once
}

// Connect starts to connect. It returns an error only for a configuration that
// can never work: an unreadable file, a bad seed, an invalid address. A
// NATS that is away is not an error; the broker keeps trying until [Broker.Close],
// and [Broker.Status] says where it stands. A server that does not reply at all
// delays the return by about a second.
func Connect(cfg Config) (*Broker, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	b := &Broker{cfg: cfg, log: cfg.Logger, replies: newReplies(cfg.Logger, cfg.Registerer), discoverer: discovery.NewClient(cfg.NATS)}
	for _, subject := range cfg.Requests {
		b.replies.expect(subject)
	}
	if err := b.dial(); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	b.shares = outbox.NewShares(cfg.Registerer)
	b.streams = streams.New(cfg.Streams, streams.Options{
		Conn: b.events, Logger: cfg.Logger, Registerer: cfg.Registerer, Bucket: cfg.ordersStream(), Inspected: b.shares.Inspected,
		Lost: func(root visit.Root) { b.outbox.Resend(root) }, // it is set before the streams are checked
	})
	b.outbox = outbox.New(outbox.Config{
		Conn: b.events, Streams: b.streams, Subjects: cfg.Streams.Subjects, Shares: b.shares, Spool: cfg.Spool, Windows: cfg.Windows,
		LargestMessage: streams.LargestMessage(cfg.Streams.BodyLimit), Logger: cfg.Logger, Registerer: cfg.Registerer,
	})
	b.replies.onAcknowledgedRequest(b.streams.Trigger) // which finds the stream, where the relay may look
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.stopped.Go(func() { b.streams.Run(ctx) })
	b.stopped.Go(func() { b.outbox.Run(ctx) })
	if err := b.watchOrders(); err != nil {
		return nil, errors.Join(fmt.Errorf("broker: %w", err), b.Close(ctx))
	}
	return b, nil
}

func (b *Broker) dial() (err error) {
	metrics := conn.NewMetrics(b.cfg.Registerer, connRequests, connEvents)
	b.requests, b.events, err = conn.DialPair(b.cfg.NATS,
		conn.Options{Name: connRequests, Logger: b.log, Metrics: metrics, Observer: b.replies.ofDeciders},
		conn.Options{Name: connEvents, Logger: b.log, Metrics: metrics, Observer: b.replies.ofStreams})
	if err == nil && b.cfg.Registerer != nil {
		b.cfg.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sine_relay_nats_unauthenticated",
			Help: "1 while NATS requires no authentication: any client that reaches it can decide, acknowledge, forge events and give orders.",
		}, b.unauthenticatedValue))
	}
	return err
}

// Close hands what was sent to the servers and disconnects. The caller has
// stopped asking and publishing: what still waits fails with
// visit.ErrDisconnected although it may be stored. When ctx ends first, Close
// disconnects at once and says so. Later calls do nothing.
func (b *Broker) Close(ctx context.Context) error {
	var err error
	b.closing.Do(func() {
		b.stop()
		if s := b.service.Load(); s != nil {
			s.Close()
		}
		if b.orders != nil {
			b.orders.Close()
		}
		b.stopped.Wait()
		b.discoverer.Close()
		err = errors.Join(b.requests.Flush(ctx), b.events.Flush(ctx))
		b.requests.Close()
		b.events.Close()
	})
	return err
}

// Share says how many integrations share what is bounded. Until then there is
// one.
func (b *Broker) Share(integrations int) { b.shares.Among(integrations) }

// watchOrders goes by the connection of the check-in requests: while that stands,
// lockdowns arrive.
func (b *Broker) watchOrders() error {
	js, err := b.requests.JetStream()
	if err != nil {
		return err
	}
	watch := b.cfg.watchConfig()
	watch.JetStream, watch.SnapshotFile, watch.Logger = js, b.cfg.OrdersFile, b.cfg.Logger
	watch.Unused = b.streams.Unused
	watch.Inspected = func(unfit error, differs []orders.Drift) {
		var drift []streams.Drift
		for _, d := range differs {
			drift = append(drift, streams.Drift(d))
		}
		b.streams.Report(b.cfg.ordersStream(), unfit, drift)
	}
	b.orders = orders.Watch(watch)
	orders.Register(b.cfg.Registerer, b.orders)
	return nil
}

// OrdersAt returns the operator's standing orders as they were last read, and
// whether those that concern a site are known: read a short time ago. It does not
// wait.
func (b *Broker) OrdersAt(site string) (all []visit.Order, known bool) {
	return b.orders.OrdersAt(site)
}

// SetSites changes the sites whose orders are followed.
func (b *Broker) SetSites(sites []string) { b.orders.SetSites(sites) }

// Deciders returns the deciders that reply until ctx ends or none has replied for a
// while, in the order of their ids. The error wraps visit.ErrDisconnected or
// visit.ErrDenied.
func (b *Broker) Deciders(ctx context.Context) ([]visit.Decider, discovery.Outcome, error) {
	if !b.requests.Connected() {
		return nil, discovery.Outcome{}, fmt.Errorf("look for deciders: %w", visit.ErrDisconnected)
	}
	return b.discoverer.Deciders(ctx)
}
