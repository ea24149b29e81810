// Package admin is what operators' commands do with NATS, and how relays and deciders
// are found there.
//
// Commands connect for themselves, fail at once without a server, and say what NATS
// refuses to their user. They create and change nothing but what they are for: standing
// orders, messages of the quarantine, and events that come of these or correct others.
package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
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
func connect(cfg Config, more ...nats.Option) (Config, *nats.Conn, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return cfg, nil, err
	}
	nc, err := dial.ConnectOperator(cfg.NATS, more...)
	return cfg, nc, err
}

// whilePermitted ends as soon as NATS refuses what a command does. A command has its
// connection to itself, and so every refusal concerns it.
func whilePermitted(ctx context.Context, nc *nats.Conn, use func(context.Context) error) error {
	return dial.WhilePermitted(ctx, nc, func(string) bool { return true }, use)
}

// Book is where an operator gives orders.
type Book struct {
	*orders.Book
	nc *nats.Conn
}

// Close disconnects.
func (b *Book) Close() { b.nc.Close() }

// OpenBook connects an operator, and creates the bucket if it is absent.
func OpenBook(ctx context.Context, cfg Config) (*Book, error) {
	return openBook(cfg, func(js jetstream.JetStream, cfg Config) (*orders.Book, error) {
		return orders.Open(ctx, js, cfg.Orders, cfg.Streams.Replicas)
	})
}

// FindBook connects an operator who only reads: an absent bucket is an error.
func FindBook(ctx context.Context, cfg Config) (*Book, error) {
	return openBook(cfg, func(js jetstream.JetStream, cfg Config) (*orders.Book, error) {
		return orders.Find(ctx, js, cfg.Orders)
	})
}

func openBook(cfg Config, open func(jetstream.JetStream, Config) (*orders.Book, error)) (*Book, error) {
	cfg, nc, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err == nil {
		var book *orders.Book
		if book, err = open(js, cfg); err == nil {
			book.MaxOverride = cfg.OverrideMaxDuration
			return &Book{book, nc}, nil
		}
	}
	nc.Close()
	return nil, err
}

// userTimeout bounds asking NATS for the user.
const userTimeout = 2 * time.Second

// User is who NATS takes this connection for.
func (b *Book) User(ctx context.Context) (user, account string, err error) {
	const subject = "$SYS.REQ.USER.INFO"
	ctx, cancel := context.WithTimeout(ctx, userTimeout)
	defer cancel()
	var reply *nats.Msg
	err = whilePermitted(ctx, b.nc, func(ctx context.Context) (err error) {
		reply, err = b.nc.RequestWithContext(ctx, subject, nil)
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("ask NATS for the user who gives the order: %w (requires permission to publish to %s)", dial.Explain(b.nc, err), subject)
	}
	var info struct {
		Data struct {
			User    string `json:"user"`
			Account string `json:"account"`
		} `json:"data"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return "", "", fmt.Errorf("ask NATS for the user who gives the order: %w", err)
	}
	return info.Data.User, info.Data.Account, nil
}
