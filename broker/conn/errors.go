package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/internal/natsperm"
	"github.com/sine-relay/sine-relay/visit"
)

var (
	// ErrServerSilent is wrapped when a server accepts connections and sends nothing,
	// as one with handshake_first does for a client without it.
	ErrServerSilent = errors.New("the server accepts connections but sends nothing")
	// ErrNoHandshake is wrapped when a client with handshake_first meets a server
	// without it.
	ErrNoHandshake = errors.New("the server does not begin with the TLS handshake")

	// errClosed is the end of the connection, which is not made again.
	errClosed = fmt.Errorf("%w: closed", visit.ErrDisconnected)
)

// ContextError says why a context that is done ended the wait: visit.ErrTimeout after
// its deadline, the context's error when it was cancelled.
func ContextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return visit.ErrTimeout
	}
	return ctx.Err()
}

// The kinds of errors on a connection.
const (
	kindAuthorization = "authorization"
	kindTLS           = "tls"
	kindPermission    = "permission"
	kindSlowConsumer  = "slow_consumer"
	kindOther         = "other"
)

var errorKinds = []string{kindAuthorization, kindTLS, kindPermission, kindSlowConsumer, kindOther}

func errorKind(err error) string {
	var certificate *tls.CertificateVerificationError
	var remote *net.OpError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired),
		errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return kindAuthorization
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &remote) && remote.Op == "remote error":
		return kindTLS // the last is how crypto/tls hands on the peer's alert
	case errors.Is(err, nats.ErrPermissionViolation):
		return kindPermission
	case errors.Is(err, nats.ErrSlowConsumer):
		return kindSlowConsumer
	default:
		return kindOther
	}
}

// needsPerson reports whether only a person can mend what keeps a connection from
// being made.
func needsPerson(err error) bool {
	kind := errorKind(err)
	return kind == kindAuthorization || kind == kindTLS
}

func adviceFor(kind string) error {
	if kind == kindTLS {
		return errors.New("TLS failed; check the certificates of both sides")
	}
	return errors.New("authorisation failed; check the credentials")
}

// explained adds what may be meant when a connection is not made.
func (c Config) explained(err error) error {
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

// Denial is a visit.ErrDenied that knows what NATS refused.
type Denial struct{ natsperm.Violation }

func (d *Denial) Error() string { return visit.ErrDenied.Error() }

func (d *Denial) Unwrap() error { return visit.ErrDenied }

// Detailed adds what NATS refused to an error that only says that it did.
func Detailed(err error) error {
	var denial *Denial
	if errors.As(err, &denial) {
		return fmt.Errorf("%w: %w", err, denial.Err)
	}
	return err
}

// failDenied fails the pending replies that a permission violation concerns. It
// arrives here and nowhere else, while they would wait out their time.
func (c *Conn) failDenied(err error) {
	v, ok := natsperm.Parse(err)
	switch {
	case !ok:
	case v.Operation == natsperm.Publish:
		c.pending.failSubject(v.Subject, &Denial{v})
	default: // all that is subscribed to is inboxes
		c.pending.refuse(fmt.Errorf("%w: inbox %s; allow the relay's user to subscribe to %s.>", visit.ErrDenied, v.Subject, c.cfg.InboxPrefix))
	}
}

// Explain returns what NATS refused to the connection of a command, or else err: the
// client library only says that the time was up.
func Explain(nc *nats.Conn, err error) error {
	if v, refused := natsperm.Last(nc); refused && !errors.Is(err, visit.ErrDenied) {
		return fmt.Errorf("%w: %w", visit.ErrDenied, v.Err)
	}
	return err
}

// Denied reports whether NATS refused a subject to the connection of a command.
func Denied(nc *nats.Conn, subject string) bool {
	_, refused := natsperm.LastOf(nc, subject)
	return refused
}

// PublishDenied reports whether err is a refusal to publish.
func PublishDenied(err error) bool {
	v, ok := natsperm.Parse(err)
	return ok && v.Operation == natsperm.Publish
}
