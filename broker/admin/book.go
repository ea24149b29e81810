package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/discovery"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// Book is where an operator gives orders.
type Book struct {
	*orders.Book
	nc dial.Link
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
	js, err := jetstream.New(nc.Conn)
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
func (b *Book) User(ctx context.Context) (user, account string, err error) { return userOf(ctx, b.nc) }

func userOf(ctx context.Context, c dial.Link) (user, account string, err error) {
	const subject = "$SYS.REQ.USER.INFO"
	ctx, cancel := context.WithTimeout(ctx, userTimeout)
	defer cancel()
	var reply *nats.Msg
	err = c.WhilePermitted(ctx, func(ctx context.Context) (err error) {
		reply, err = c.RequestWithContext(ctx, subject, nil)
		return err
	}, subject)
	if err != nil {
		return "", "", fmt.Errorf("ask NATS for the user who gives the order: %w (requires permission to publish to %s)", c.Explain(err), subject)
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

// Relays returns the relays that answer until ctx ends, none has for a while, or two
// seconds are over, in the order of their ids. The error wraps visit.ErrDenied.
func (b *Book) Relays(ctx context.Context) ([]visit.Relay, error) {
	found, _, err := discovery.Relays(ctx, b.nc)
	return found, err
}

// FindRelays does the same where there is no bucket to open.
func FindRelays(ctx context.Context, cfg Config) ([]visit.Relay, error) {
	nc, err := dial.ConnectOnce(cfg.NATS)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	found, _, err := discovery.Relays(ctx, dial.OwnLink(nc))
	return found, err
}
