package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
)

func TestTLS_NeedsTheRightCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	s := natstest.Start(t, func(o *server.Options) { o.TLSConfig, o.TLSVerify, o.TLSTimeout = ca.serverConfig(t), true, 5 })
	t.Run("CA and client certificate", func(t *testing.T) {
		certFile, keyFile := ca.issue(t)
		b := ready(t, s, func(c *broker.Config) { c.NATS.TLS = dial.TLS{CAFile: ca.file, CertFile: certFile, KeyFile: keyFile} })
		if b.Status().Unauthenticated {
			t.Error("a server that insists on a certificate is said to ask nobody")
		}
	})
	t.Run("no client certificate", func(t *testing.T) {
		awaitFault(t, connectTo(t, s, func(c *broker.Config) { c.NATS.TLS.CAFile = ca.file }), "TLS failed; check the certificates")
	})
	t.Run("a CA that did not sign", func(t *testing.T) {
		stranger := newAuthority(t)
		awaitFault(t, connectTo(t, s, func(c *broker.Config) { c.NATS.TLS.CAFile = stranger.file }), "TLS failed; check the certificates")
	})
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
	pool        *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, a.key = a.sign(t, template)
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.certificate = certificate
	a.pool.AddCert(certificate)
	a.file = writePEM(t, "CERTIFICATE", der)
	return a
}

// sign issues a certificate; the first one signs itself.
func (a *authority) sign(t *testing.T, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, parentKey := a.certificate, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// issue returns the files of a certificate for this machine and its key.
func (a *authority) issue(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	der, key := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", keyDER)
}

func (a *authority) serverConfig(t *testing.T) *tls.Config {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(a.issue(t))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
