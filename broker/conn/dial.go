package conn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

func newConn(cfg dial.Config, o Options) *Conn {
	ended, end := context.WithCancel(context.Background())
	if o.Observer == nil {
		o.Observer = &Observer{}
	}
	c := &Conn{
		name: o.Name, cfg: cfg, log: o.Logger.With("connection", o.Name), metrics: o.Metrics, observer: o.Observer,
		pending: newPending(), outgoing: newCollector(), ended: ended, end: end,
		connected: make(chan struct{}), logged: make(map[string]bool),
	}
	c.greeting.certificate = cfg.TLS.HandshakeFirst && cfg.TLS.CertFile != ""
	return c
}

// DialPair starts to connect twice, at once: a server that does not reply costs its
// timeout only once. An error is of a configuration that can never work; a NATS that
// is away is tried until [Conn.Close]. Each connection begins with another server.
func DialPair(cfg dial.Config, one, other Options) (*Conn, *Conn, error) {
	options, err := cfg.Options()
	if err != nil {
		return nil, nil, err
	}
	a, b := newConn(cfg, one), newConn(cfg, other)
	var errA, errB error
	var dialled sync.WaitGroup
	urlsA, urlsB, order := cfg.URLsApart()
	dialled.Go(func() { errA = a.dial(urlsA, slices.Concat(order, options)) })
	dialled.Go(func() { errB = b.dial(urlsB, slices.Concat(order, options)) })
	dialled.Wait()
	if err := errors.Join(errA, errB); err != nil {
		a.Close()
		b.Close()
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	return a, b, nil
}

// DialOnce connects for a command, which fails at once without a server. Its inbox is
// below the prefix of cfg.
func DialOnce(cfg dial.Config, name string, o *Observer) (*Conn, error) {
	options, err := cfg.Options()
	if err != nil {
		return nil, err
	}
	c := newConn(cfg, Options{Name: name, Logger: slog.New(slog.DiscardHandler), Metrics: NewMetrics(nil), Observer: o})
	if err := c.dial(cfg.URLs(), append(options, nats.RetryOnFailedConnect(false))); err != nil {
		c.Close()
		return nil, fmt.Errorf("connect to NATS at %s: %w", cfg.Hosts(), cfg.Explained(err))
	}
	c.noteServer(c.nc) // the handler for that may not have been called yet
	return c, nil
}

// DialOperator is [DialOnce] with the inbox of [dial.ConnectOperator].
func DialOperator(cfg dial.Config, name string, o *Observer) (*Conn, error) {
	nc, err := dial.ConnectOperator(cfg)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	cfg.InboxPrefix = cmp.Or(nc.Opts.InboxPrefix, dial.OperatorInbox)
	return DialOnce(cfg, name, o)
}

// DialRelay is [DialOnce] for a command that receives replies as the relay does, and
// fails where none would arrive.
func DialRelay(ctx context.Context, cfg dial.Config, name string) (*Conn, error) {
	c, err := DialOnce(cfg, name, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dial.RequestTimeout)
	defer cancel()
	err = c.nc.FlushWithContext(ctx)
	if dial.Denied(c.nc, c.inbox+"*") {
		err = fmt.Errorf("%w: use the relay's user, or allow yours to subscribe to %s.>", visit.ErrDenied, cfg.InboxPrefix)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}
	return c, nil
}

// dial connects. The inbox is below the prefix, with a random name of its own.
func (c *Conn) dial(urls string, options []nats.Option) error {
	c.urls, c.options = urls, options
	c.inbox = c.cfg.InboxPrefix + "." + newToken() + "."
	own := append(c.handlers(), nats.SetCustomDialer(&c.greeting),
		nats.CustomInboxPrefix(c.cfg.InboxPrefix)) // also for what JetStream's client asks
	nc, err := nats.Connect(urls, append(own, options...)...)
	if err != nil {
		return err
	}
	c.nc = nc
	if nc.IsConnected() {
		c.up.Store(true) // onConnect may be called later
	}
	c.statuses = nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	go c.followStatus()
	go c.write()
	go c.pending.sweepUntil(c.ended.Done())
	// Established again by nats.go at each reconnect.
	if _, err := nc.Subscribe(c.inbox+"*", c.receive); err != nil {
		return fmt.Errorf("subscribe to the inbox: %w", err)
	}
	return nil
}
