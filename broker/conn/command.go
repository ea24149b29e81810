package conn

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// operatorInbox is what every NATS client has by default. It is not the relay's:
// an operator cannot receive the relay's replies.
const operatorInbox = "_INBOX"

// Connect returns a connection of nats.go that is tried until it is closed, beside the
// relay's own.
func Connect(cfg Config, more ...nats.Option) (*nats.Conn, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(cfg.urls(), slices.Concat(options, []nats.Option{nats.CustomInboxPrefix(cfg.InboxPrefix)}, more)...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return nc, nil
}

// ConnectOnce connects for a person at a terminal, who wants to know at once when
// there is no server, where the relay would wait.
func ConnectOnce(cfg Config, more ...nats.Option) (*nats.Conn, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	once := []nats.Option{
		nats.RetryOnFailedConnect(false), nats.MaxReconnects(5),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // by default it prints
	}
	nc, err := nats.Connect(cfg.urls(), slices.Concat(options, once, more)...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", cfg.hosts(), cfg.explained(err))
	}
	return nc, nil
}

// ConnectOperator connects for an operator's command. Its replies come to the inbox
// that every client has by default, or, where the user may not subscribe there, to the
// one that is configured: in a pod the user is the relay's own.
func ConnectOperator(cfg Config, more ...nats.Option) (*nats.Conn, error) {
	nc, err := ConnectOnce(cfg, more...)
	if err != nil || cfg.InboxPrefix == "" || mayReceive(nc, operatorInbox) {
		return nc, err
	}
	own, err := ConnectOnce(cfg, append(more, nats.CustomInboxPrefix(cfg.InboxPrefix))...)
	switch {
	case err != nil:
		nc.Close()
		return nil, err
	case !mayReceive(own, cfg.InboxPrefix):
		own.Close()
		return nc, nil // whose errors name the inbox of an operator
	}
	nc.Close()
	return own, nil
}

// mayReceive tells whether NATS permits a subscription below prefix. A refusal reaches
// the connection before the reply to the flush does.
func mayReceive(nc *nats.Conn, prefix string) bool {
	subject := prefix + "." + newToken()
	s, err := nc.SubscribeSync(subject)
	if err != nil {
		return false
	}
	defer s.Unsubscribe()
	if nc.FlushTimeout(requestTimeout) != nil {
		return true // that is another error, and shows in what comes next
	}
	return !Denied(nc, subject)
}

// NewInbox is a subject for replies to the connection of a command.
func NewInbox(nc *nats.Conn) string {
	return cmp.Or(nc.Opts.InboxPrefix, operatorInbox) + "." + newToken()
}

// DialOperator is [DialOnce] with the inbox of [ConnectOperator].
func DialOperator(cfg Config, name string, o *Observer) (*Conn, error) {
	nc, err := ConnectOperator(cfg)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	cfg.InboxPrefix = cmp.Or(nc.Opts.InboxPrefix, operatorInbox)
	return DialOnce(cfg, name, o)
}

// DialRelay is [DialOnce] for a command that receives replies as the relay does, and
// fails where none would arrive.
func DialRelay(ctx context.Context, cfg Config, name string) (*Conn, error) {
	c, err := DialOnce(cfg, name, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err = c.nc.FlushWithContext(ctx)
	if Denied(c.nc, c.inbox+"*") {
		err = fmt.Errorf("%w: use the relay's user, or allow yours to subscribe to %s.>", visit.ErrDenied, cfg.InboxPrefix)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}
	return c, nil
}
