// Package broker puts questions and events on NATS.
//
// It promises that a question ends by its deadline, as soon as its end can be
// known, with a decision or with one of visit's errors that says why there is
// none; and that publishing returns nil only on the stream's acknowledgement.
// Nothing that ended in an error is sent later by itself, with one exception:
// what waits for a peer that reads nothing may leave up to a second after its
// deadline, because a write cannot be called back.
//
// What a message says, how long one may wait, what a visitor is told when
// nobody decides, and counting questions and events are left to others.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// Broker is a pair of connections to NATS and the streams behind one of them.
// It is safe for concurrent use.
type Broker struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	// door and events are apart, so that neither path waits behind the
	// other's bytes. More than one connection per path is slower.
	door, events *link
	discoverer   discoverer
	seconds      *secondReplies
	ignored      *ignoredReplies
	keeper       *keeper
	lanes        lanes
	buffer       *buffer // nil without a spool
	sharers      sharers
	quarantined  *quarantineShares
	orders       *orders.Watcher
	ordersOnce   atomic.Bool // the orders were known
	service      atomic.Pointer[service]
	stop         context.CancelFunc
	stopped      sync.WaitGroup
	closing      sync.Once
}

// Connect starts to connect. It returns an error only for a configuration that
// can never work: an unreadable file, a bad seed, an address that is none. A
// NATS that is away is not an error; the broker keeps trying until [Broker.Close],
// and [Broker.Status] says where it stands. A server that does not answer at all
// delays the return by about a second.
func Connect(cfg Config) (*Broker, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	options, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	m := newMetrics(cfg)
	b := &Broker{cfg: cfg, log: cfg.Logger, metrics: m}
	b.door = newLink("check_in_requests", cfg.Logger, m)
	b.events = newLink("events", cfg.Logger, m)
	b.door.inProcess, b.events.inProcess = cfg.InProcess != nil, cfg.InProcess != nil
	b.door.secured(cfg.TLS)
	b.events.secured(cfg.TLS)
	b.discoverer.dial = func() (*nats.Conn, error) {
		return cfg.dialOnce(nats.Name("sine-relay discovery"), nats.CustomInboxPrefix(cfg.InboxPrefix))
	}
	b.door.hears.stray = m.lateReplies.Inc
	b.seconds = newSecondReplies(cfg.Logger, m)
	b.door.hears.second, b.events.hears.second = b.seconds.secondReply, b.seconds.secondAcknowledgement
	b.ignored = newIgnoredReplies(cfg.Logger, m)
	b.door.repeated = b.seconds.repeated
	b.events.hears.ignored = b.ignored.noAcknowledgement
	b.door.hears.ignored = b.ignored.acknowledgement
	b.ignored.found = func() { b.keeper.nudge() } // which finds the stream, where the relay may look
	for _, subject := range cfg.Questions {
		b.seconds.expect(subject)
	}
	b.watchAuthentication(cfg.Registerer)
	if err := b.dial(cfg, options); err != nil {
		b.door.close()
		b.events.close()
		return nil, fmt.Errorf("broker: %w", err)
	}
	b.keeper = newKeeper(cfg, b.events, m)
	b.quarantined = newQuarantineShares(&b.sharers, m.quarantineShares)
	b.keeper.looked[visit.RootQuarantine] = b.quarantined.looked
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.stopped.Go(func() { b.keeper.run(ctx) })
	if cfg.Spool != nil {
		b.buffer = newBuffer(cfg, b)
		b.stopped.Go(func() { b.buffer.run(ctx) })
	}
	// By the door's connection: while that stands, lockdowns are heard of.
	js, err := jetstream.New(b.door.nc)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("broker: %w", err), b.Close(ctx))
	}
	b.orders = orders.Watch(b.watchConfig(cfg, js))
	watchOrders(cfg.Registerer, b.orders)
	return b, nil
}

// dial opens both connections at once: a server that does not answer costs its
// timeout only once.
func (b *Broker) dial(cfg Config, options []nats.Option) error {
	var doorErr, eventsErr error
	var dialled sync.WaitGroup
	door, events, order := cfg.urlsApart()
	dialled.Go(func() { doorErr = b.door.dial(door, cfg.InboxPrefix, slices.Concat(order, options)) })
	dialled.Go(func() { eventsErr = b.events.dial(events, cfg.InboxPrefix, slices.Concat(order, options)) })
	dialled.Wait()
	return errors.Join(doorErr, eventsErr)
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
			s.nc.Close()
		}
		if b.orders != nil {
			b.orders.Close()
		}
		b.stopped.Wait()
		b.discoverer.close()
		err = errors.Join(b.door.flush(ctx), b.events.flush(ctx))
		b.door.close()
		b.events.close()
	})
	return err
}
