// Package admin is what operators' commands do with NATS.
//
// Commands connect for themselves, fail at once without a server, and say what NATS
// refuses to their user. They create and change nothing but what they are for: standing
// orders, messages of the quarantine, and events that come of these or correct others.
package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/discovery"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// Config is what a command needs to know. Zero fields get the defaults.
type Config struct {
	NATS    dial.Config
	Streams streams.Config
	// Orders is the bucket of the standing orders, VISITOR_ORDERS by default, and
	// OverrideMaxDuration the longest that an override may last, 24 h by default.
	Orders              string
	OverrideMaxDuration time.Duration
}

func (c Config) complete() (Config, error) {
	var err error
	if c.NATS, err = c.NATS.WithDefaults(); err != nil {
		return c, fmt.Errorf("broker: %w", err)
	}
	if c.Streams, err = c.Streams.WithDefaults(); err != nil {
		return c, fmt.Errorf("broker: %w", err)
	}
	c.Orders = cmp.Or(c.Orders, visit.DefaultOrderBucket)
	c.OverrideMaxDuration = cmp.Or(c.OverrideMaxDuration, 24*time.Hour)
	return c, nil
}

// connect connects an operator's command.
func connect(cfg Config, more ...nats.Option) (Config, dial.Link, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return cfg, dial.Link{}, err
	}
	nc, err := dial.ConnectOperator(cfg.NATS, more...)
	if err != nil {
		return cfg, dial.Link{}, err
	}
	return cfg, dial.OwnLink(nc), nil
}

// Views are what a program that stays sees and does, over a connection that it shares
// with others. They are safe for concurrent use.
type Views struct {
	cfg Config
	c   dial.Link
}

// NewViews returns those of a connection, which stays the caller's. Its error is of a
// configuration that can never work.
func NewViews(cfg Config, s *dial.Shared) (*Views, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Views{cfg, s.Link()}, nil
}

// Config is the configuration with its defaults.
func (v *Views) Config() Config { return v.cfg }

// History and Events are the views of commands. They are not to be closed: the
// connection is the caller's.
func (v *Views) History() *History { return &History{v.cfg, v.c} }

// Events is described at [Views.History].
func (v *Views) Events() *Events { return &Events{v.cfg, v.c} }

// Quarantined is [Quarantine.Each].
func (v *Views) Quarantined(ctx context.Context, fn func(Kept) error) error {
	return (&Quarantine{cfg: v.cfg, nc: v.c}).Each(ctx, fn)
}

// User is [Book.User].
func (v *Views) User(ctx context.Context) (user, account string, err error) { return userOf(ctx, v.c) }

// Relays is [FindRelays].
func (v *Views) Relays(ctx context.Context) ([]visit.Relay, discovery.Outcome, error) {
	return discovery.Relays(ctx, v.c)
}

// Deciders is [FindDeciders].
func (v *Views) Deciders(ctx context.Context) ([]visit.Decider, discovery.Outcome, error) {
	return discovery.Deciders(ctx, v.c)
}

// FindDeciders returns the deciders that reply until ctx ends or none has replied for a
// while, in the order of their ids. The error wraps visit.ErrDisconnected or
// visit.ErrDenied.
func FindDeciders(ctx context.Context, cfg Config) ([]visit.Decider, discovery.Outcome, error) {
	_, nc, err := connect(cfg)
	if err != nil {
		return nil, discovery.Outcome{}, err
	}
	defer nc.Close()
	return discovery.Deciders(ctx, nc)
}

// OpenBook is the function of that name.
func (v *Views) OpenBook(ctx context.Context) (*Book, error) {
	return v.book(func(js jetstream.JetStream) (*orders.Book, error) {
		return orders.OpenShared(ctx, js, v.c.Permitted, v.cfg.Orders, v.cfg.Streams.Replicas)
	})
}

// FindBook is the function of that name.
func (v *Views) FindBook(ctx context.Context) (*Book, error) {
	return v.book(func(js jetstream.JetStream) (*orders.Book, error) {
		return orders.FindShared(ctx, js, v.c.Permitted, v.cfg.Orders)
	})
}

func (v *Views) book(open func(jetstream.JetStream) (*orders.Book, error)) (*Book, error) {
	js, err := jetstream.New(v.c.Conn)
	if err != nil {
		return nil, err
	}
	book, err := open(js)
	if err != nil {
		return nil, err
	}
	book.MaxOverride = v.cfg.OverrideMaxDuration
	return &Book{book, v.c}, nil
}

// Scan calls fn for each message of a stream on subjects that was stored from a time on,
// oldest first, until fn returns an error, which it returns.
func (v *Views) Scan(ctx context.Context, stream, subjects string, from time.Time, fn func(*jetstream.RawStreamMsg) error) error {
	p := pager{nc: v.c, stream: stream, next: batch{StartTime: &from, Subject: subjects}}
	return p.each(ctx, fn)
}

// CreateStream creates a stream. One of that name which is there stays as it is.
func (v *Views) CreateStream(ctx context.Context, cfg jetstream.StreamConfig) error {
	js, err := jetstream.New(v.c.Conn)
	if err != nil {
		return err
	}
	err = v.c.WhilePermitted(ctx, func(ctx context.Context) error {
		_, err := js.CreateStream(ctx, cfg)
		return err
	}, "$JS.API.STREAM.CREATE."+cfg.Name)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("create stream %s: %w", cfg.Name, err)
	}
	return nil
}

// Stream returns the configuration and the state of a stream.
func (v *Views) Stream(ctx context.Context, name string) (info *jetstream.StreamInfo, err error) {
	js, err := jetstream.New(v.c.Conn)
	if err != nil {
		return nil, err
	}
	err = v.c.WhilePermitted(ctx, func(ctx context.Context) error {
		stream, err := js.Stream(ctx, name)
		if err == nil {
			info = stream.CachedInfo()
		}
		return err
	}, "$JS.API.STREAM.INFO."+name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = visit.ErrStreamMissing
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the state of stream %s: %w", name, err)
	}
	return info, nil
}

// Store stores a message in a stream, once.
func (v *Views) Store(ctx context.Context, m visit.Message, stream string) (visit.Receipt, error) {
	return store(ctx, v.c, m, stream)
}
