package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"
)

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

// isRefusal reports whether only a person can mend what keeps a connection
// from being made.
func isRefusal(err error) bool {
	kind := errorKind(err)
	return kind == kindAuthorization || kind == kindTLS
}

// explained adds what may be meant when a connection is not made.
func (t TLS) explained(err error) error {
	var network *net.OpError
	var record tls.RecordHeaderError
	switch {
	case !t.HandshakeFirst && errors.As(err, &network) && network.Op == "read" && network.Timeout():
		return fmt.Errorf("%w: the server accepts connections but sends nothing; if it has handshake_first, set SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST", err)
	case t.HandshakeFirst && errors.As(err, &record):
		return fmt.Errorf("%w: the server does not begin with the TLS handshake; unset SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST, or set handshake_first there", err)
	default:
		return err
	}
}

func refusalOf(kind string) error {
	if kind == kindTLS {
		return errors.New("TLS failed; check the certificates of both sides")
	}
	return errors.New("authorisation failed; check the credentials")
}
