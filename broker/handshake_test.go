package broker_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
)

func TestTLS_HandshakeFirstMustMatchTheServer(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	secured := func(first bool) *natstest.Server {
		return natstest.Start(t, func(o *server.Options) {
			o.TLSConfig, o.TLSTimeout, o.TLSHandshakeFirst = ca.serverConfig(t), 5, first
			o.TLSConfig.ClientAuth = tls.VerifyClientCertIfGiven
		})
	}
	first, later := secured(true), secured(false)
	certFile, keyFile := ca.issue(t)
	remedy := func(err error) string {
		return map[error]string{dial.ErrServerSilent: "set it", dial.ErrNoHandshake: "unset it"}[err]
	}
	t.Run("a relay that does, too", func(t *testing.T) {
		b := ready(t, first, func(c *broker.Config) { c.NATS.TLS = dial.TLS{CAFile: ca.file, HandshakeFirst: true} })
		if !b.Status().Unauthenticated {
			t.Error("that the server lets everybody in is not said")
		}
	})
	t.Run("with a certificate", func(t *testing.T) {
		b := ready(t, first, func(c *broker.Config) {
			c.NATS.TLS = dial.TLS{CAFile: ca.file, CertFile: certFile, KeyFile: keyFile, HandshakeFirst: true}
		})
		if b.Status().Unauthenticated {
			t.Error("a server that is shown a certificate is said to ask nobody")
		}
	})
	t.Run("a relay that waits", func(t *testing.T) {
		b := connectTo(t, first, func(c *broker.Config) { c.NATS.TLS, c.NATS.Remedy = dial.TLS{CAFile: ca.file}, remedy })
		const want = "sends nothing; set it"
		eventually(t, "the status says what to do", func() bool { return strings.Contains(b.Status().LastError, want) })
		operator := dial.Config{Servers: []string{first.URL()}, TLS: dial.TLS{CAFile: ca.file}, Remedy: remedy}
		if _, err := admin.Examine(within(t, patience), admin.Config{NATS: operator}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a relay that does not wait for a server that speaks first", func(t *testing.T) {
		b := connectTo(t, later, func(c *broker.Config) {
			c.NATS.TLS, c.NATS.Remedy = dial.TLS{CAFile: ca.file, HandshakeFirst: true}, remedy
		})
		awaitFault(t, b, "does not begin with the TLS handshake; unset it")
	})
}
