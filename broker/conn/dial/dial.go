// Package dial knows where NATS is and how to connect: servers, credentials, TLS, and
// the options that every connection has. It makes the plain connections of nats.go that
// commands use, and tells what NATS refuses to one: NATS says that to the connection
// alone, and whoever waits for a reply would wait in vain.
//
// It promises that a configuration which can never work is an error at once, and that
// no error quotes a URL with its password. The relay's own connections, which move and
// are made again, are those of package conn.
package dial

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/nats-io/nats.go"
)

var (
	// ErrServerSilent is wrapped when a server accepts connections and sends nothing,
	// as one with handshake_first does for a client without it.
	ErrServerSilent = errors.New("the server accepts connections but sends nothing")
	// ErrNoHandshake is wrapped when a client with handshake_first meets a server
	// without it.
	ErrNoHandshake = errors.New("the server does not begin with the TLS handshake")
)

// OperatorInbox is what every NATS client has by default. It is not the relay's:
// an operator cannot receive the relay's replies.
const OperatorInbox = "_INBOX"

// Connect returns a connection of nats.go that is tried until it is closed, beside the
// relay's own.
func Connect(cfg Config, more ...nats.Option) (*nats.Conn, error) {
	options, err := cfg.Options()
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(cfg.URLs(), slices.Concat(options, []nats.Option{nats.CustomInboxPrefix(cfg.InboxPrefix)}, more)...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return nc, nil
}

// ConnectOnce connects for a person at a terminal, who wants to know at once when
// there is no server, where the relay would wait.
func ConnectOnce(cfg Config, more ...nats.Option) (*nats.Conn, error) {
	options, err := cfg.Options()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	once := []nats.Option{
		nats.RetryOnFailedConnect(false), nats.MaxReconnects(5),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // by default it prints
	}
	nc, err := nats.Connect(cfg.URLs(), slices.Concat(options, once, more)...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", cfg.Hosts(), cfg.Explained(err))
	}
	return nc, nil
}

// ConnectOperator connects for an operator's command. Its replies come to the inbox
// that every client has by default, or, where the user may not subscribe there, to the
// one that is configured: in a pod the user is the relay's own.
func ConnectOperator(cfg Config, more ...nats.Option) (*nats.Conn, error) {
	nc, err := ConnectOnce(cfg, more...)
	if err != nil || cfg.InboxPrefix == "" || mayReceive(nc, OperatorInbox) {
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
	subject := prefix + "." + rand.Text()
	s, err := nc.SubscribeSync(subject)
	if err != nil {
		return false
	}
	defer s.Unsubscribe()
	if nc.FlushTimeout(RequestTimeout) != nil {
		return true // that is another error, and shows in what comes next
	}
	return !Denied(nc, subject)
}

// NewInbox is a subject for replies to the connection of a command.
func NewInbox(nc *nats.Conn) string {
	return cmp.Or(nc.Opts.InboxPrefix, OperatorInbox) + "." + rand.Text()
}

// Explained adds what may be meant when a connection is not made.
func (c Config) Explained(err error) error {
	var network *net.OpError
	var record tls.RecordHeaderError
	switch {
	case !c.TLS.HandshakeFirst && errors.As(err, &network) && network.Op == "read" && network.Timeout():
		return c.withRemedy(err, ErrServerSilent)
	case c.TLS.HandshakeFirst && errors.As(err, &record):
		return c.withRemedy(err, ErrNoHandshake)
	default:
		return err
	}
}

func (c Config) withRemedy(err, meaning error) error {
	if c.Remedy != nil && c.Remedy(meaning) != "" {
		return fmt.Errorf("%w: %w; %s", err, meaning, c.Remedy(meaning))
	}
	return fmt.Errorf("%w: %w", err, meaning)
}
