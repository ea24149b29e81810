package embedded_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/embedded"
)

func TestListen_PortInUseIsReported(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	_, err = embedded.Start(embedded.Config{StoreDir: dir, Listen: taken.Addr().String()})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Fatalf("%v", err)
	}
	start(t, embedded.Config{StoreDir: dir}) // nothing was left behind
}

func TestListen_InvalidConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	for name, c := range map[string]struct {
		cfg  embedded.Config
		want string
	}{
		"every address without TLS":   {embedded.Config{Listen: "0.0.0.0:0"}, "readable on the network"},
		"every address of both kinds": {embedded.Config{Listen: ":0"}, "readable on the network"},
		"a name that is not certain":  {embedded.Config{Listen: "relay.example.com:0"}, "readable on the network"},
		"a certificate without key":   {embedded.Config{Listen: "127.0.0.1:0", TLSCertFile: cert}, "must be set together"},
		"a key without certificate":   {embedded.Config{Listen: "127.0.0.1:0", TLSKeyFile: key}, "must be set together"},
		"a certificate that is none":  {embedded.Config{Listen: "127.0.0.1:0", TLSCertFile: key, TLSKeyFile: key}, key},
		"an address without port":     {embedded.Config{Listen: "127.0.0.1"}, "127.0.0.1"},
		"a port that is none":         {embedded.Config{Listen: "127.0.0.1:x"}, "127.0.0.1:x"},
		"no store":                    {embedded.Config{Listen: "127.0.0.1:0"}, "no directory is configured"},
	} {
		if name != "no store" {
			c.cfg.StoreDir = t.TempDir()
		}
		s, err := embedded.Start(c.cfg)
		if err == nil {
			s.Shutdown()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListen_BeyondLoopbackWorksWithTLSOrAllowedPlaintext(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	for name, c := range map[string]struct {
		cfg    embedded.Config
		prefix string
		host   string
	}{
		"plaintext, permitted":      {embedded.Config{Listen: "0.0.0.0:0", AllowPlaintext: true}, "nats://admin:", "@127.0.0.1:"},
		"plaintext, no host at all": {embedded.Config{Listen: ":0", AllowPlaintext: true}, "nats://admin:", "@127.0.0.1:"},
		"TLS":                       {embedded.Config{Listen: "0.0.0.0:0", TLSCertFile: cert, TLSKeyFile: key}, "tls://admin:", "@localhost:"},
	} {
		c.cfg.StoreDir = t.TempDir()
		s := start(t, c.cfg)
		if url := s.ClientURL("admin"); !strings.HasPrefix(url, c.prefix) || !strings.Contains(url, c.host) {
			t.Errorf("%s: at %s", name, s.Addr())
		}
		var o []nats.Option
		if c.cfg.TLSCertFile != "" {
			o = append(o, nats.RootCAs(cert))
		}
		js := connect(t, s.ClientURL("admin"), o...)
		if _, err := js.AccountInfo(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListen_TLSAppliesToTheSocketOnly(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	s := start(t, embedded.Config{StoreDir: t.TempDir(), Listen: "localhost:0", TLSCertFile: cert, TLSKeyFile: key})
	user := nats.UserInfo("admin", s.Password("admin"))
	connect(t, "", nats.InProcessServer(s.InProcess()), user)
	if nc, err := nats.Connect(s.ClientURL("admin")); err == nil {
		nc.Close()
		t.Error("a client that does not know the certificate trusts it")
	}
}

func TestListen_RenewedCertificateNeedsNoRestart(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	s := start(t, embedded.Config{StoreDir: t.TempDir(), Listen: "localhost:0", TLSCertFile: cert, TLSKeyFile: key})
	connect(t, s.ClientURL("admin"), nats.RootCAs(cert))
	renewed, itsKey := certificate(t)
	known := filepath.Join(t.TempDir(), "known.pem")
	for from, to := range map[string]string{renewed: known, itsKey: key} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The key is the new one, the certificate is not yet.
	old, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	before := filepath.Join(t.TempDir(), "before.pem")
	if err := os.WriteFile(before, old, 0o600); err != nil {
		t.Fatal(err)
	}
	connect(t, s.ClientURL("admin"), nats.RootCAs(before))
	if err := os.Rename(renewed, cert); err != nil {
		t.Fatal(err)
	}
	connect(t, s.ClientURL("admin"), nats.RootCAs(known))
	if nc, err := nats.Connect(s.ClientURL("admin"), nats.RootCAs(before)); err == nil {
		nc.Close()
		t.Error("the old certificate is still in use")
	}
}

// certificate makes a self-signed one for localhost and returns its files.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"*.example.com", "localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", cert), writePEM(t, "PRIVATE KEY", keyBytes)
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
