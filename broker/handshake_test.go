package broker_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker"
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
	t.Run("a relay that does, too", func(t *testing.T) {
		b := ready(t, first, func(c *broker.Config) { c.TLS = broker.TLS{CAFile: ca.file, HandshakeFirst: true} })
		if !b.Status().AsksNobody {
			t.Error("that the server lets everybody in is not said")
		}
	})
	t.Run("with a certificate", func(t *testing.T) {
		b := ready(t, first, func(c *broker.Config) {
			c.TLS = broker.TLS{CAFile: ca.file, CertFile: certFile, KeyFile: keyFile, HandshakeFirst: true}
		})
		if b.Status().AsksNobody {
			t.Error("a server that is shown a certificate is said to ask nobody")
		}
	})
	t.Run("a relay that waits", func(t *testing.T) {
		b := connectTo(t, first, func(c *broker.Config) { c.TLS = broker.TLS{CAFile: ca.file} })
		const remedy = "if it has handshake_first, set SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST"
		eventually(t, "the status says what to do", func() bool { return strings.Contains(b.Status().LastError, remedy) })
		if _, err := broker.Examine(within(t, patience), broker.Config{Servers: []string{first.URL()}, TLS: broker.TLS{CAFile: ca.file}}); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a relay that does not wait for a server that speaks first", func(t *testing.T) {
		b := connectTo(t, later, func(c *broker.Config) { c.TLS = broker.TLS{CAFile: ca.file, HandshakeFirst: true} })
		awaitFault(t, b, "unset SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST")
	})
}
