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

// fail ends all waiting.
func (p *pending) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		p.end(one, Reply{Err: err})
	}
}

// failSubject ends the waiting for replies to what was sent to subject.
func (p *pending) failSubject(subject string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		if one.Subject == subject {
			p.end(one, Reply{Err: err})
		}
	}
}

// refuse fails all that is pending, and at once whatever comes, until admit.
func (p *pending) refuse(err error) {
	p.mu.Lock()
	p.refused = err
	p.mu.Unlock()
	p.fail(err)
}

func (p *pending) admit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = nil
}

func (p *pending) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}
