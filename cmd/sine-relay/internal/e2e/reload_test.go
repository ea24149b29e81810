package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// mounted lays a directory out as Kubernetes mounts a secret or a config map:
// the files are links into a directory that is a link itself, and an update
// swaps that one link.
type mounted struct {
	t   *testing.T
	dir string
	n   int
}

func (m *mounted) write(files map[string]string) {
	m.t.Helper()
	m.n++
	version := filepath.Join(m.dir, "..v"+strings.Repeat("i", m.n))
	must := func(err error) {
		if err != nil {
			m.t.Fatal(err)
		}
	}
	must(os.MkdirAll(version, 0o700))
	for name, content := range files {
		must(os.WriteFile(filepath.Join(version, name), []byte(content), 0o600))
	}
	must(os.Symlink(version, filepath.Join(m.dir, "..data_tmp")))
	must(os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
	for name := range files {
		link := filepath.Join(m.dir, name)
		if _, err := os.Lstat(link); err != nil {
			must(os.Symlink(filepath.Join("..data", name), link))
		}
	}
	links, err := filepath.Glob(filepath.Join(m.dir, "[^.]*"))
	must(err)
	for _, link := range links {
		if _, err := os.Stat(link); err != nil {
			must(os.Remove(link))
		}
	}
}

func (p *program) answers(integration, key string) int {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(p.webhook, "default")+integration, strings.NewReader(webhook("signin_after", noon, key)))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("x-sine-auth", key)
	answer, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func TestReload_ConfigurationAndKeysTakeEffect(t *testing.T) {
	t.Parallel()
	const first, second = "first-key-0123456789", "second-key-0123456789"
	server := natstest.Start(t)
	settings, keys := &mounted{t: t, dir: t.TempDir()}, &mounted{t: t, dir: t.TempDir()}
	settings.write(map[string]string{"integrations.yaml": "integrations: [{name: lobby}]"})
	keys.write(map[string]string{"lobby": first})
	p := runServe(t, "KEYS=", "NATS_URL="+server.URL(), "INTEGRATIONS_FILE="+filepath.Join(settings.dir, "integrations.yaml"), "KEYS_DIR="+keys.dir).ready()
	if code := p.answers("lobby", first); code != 200 {
		t.Fatalf("answered %d", code)
	}

	keys.write(map[string]string{"lobby": first + "\n" + second})
	eventually(t, "the second key is valid", func() bool { return p.answers("lobby", second) == 200 })
	if code := p.answers("lobby", first); code != 200 {
		t.Errorf("the first key was answered %d", code)
	}

	settings.write(map[string]string{"integrations.yaml": "integrations: [{name: lobby}, {name: dock"})
	eventually(t, "the fault is seen", func() bool {
		_, body := p.get("/readyz?verbose")
		_, metrics := p.get("/metrics")
		return strings.HasPrefix(body, "degraded: the configuration has errors") && strings.Contains(metrics, "\nsine_relay_config_last_reload_successful 0\n")
	})
	if code := p.answers("lobby", second); code != 200 {
		t.Errorf("with a bad file: answered %d", code)
	}

	keys.write(map[string]string{"lobby": second, "dock": second + "-dock"})
	settings.write(map[string]string{"integrations.yaml": "integrations: [{name: lobby}, {name: dock}]"})
	eventually(t, "the new integration is there", func() bool { return p.answers("dock", second+"-dock") == 200 })
	eventually(t, "the first key is gone", func() bool { return p.answers("lobby", first) == 401 })
	if _, body := p.get("/readyz"); body != "ready\n" {
		t.Errorf("readiness: %s", body)
	}
	if strings.Count(p.out.String(), "has errors and is not in force") > 3 {
		t.Errorf("it does not stop to complain:\n%s", p.out.String())
	}
	if strings.Contains(p.out.String(), "0123456789") {
		t.Error("a key was logged")
	}
}

func TestReload_CertificateTakesEffect(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	cert, key, old := certificate(t)
	p := runServe(t, "NATS_URL="+server.URL(), "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key).ready()
	address := strings.TrimSuffix(strings.TrimPrefix(p.webhook, "http://"), "/sine/default")
	trusts := func(c *tls.Config) bool {
		conn, err := tls.Dial("tcp", address, c)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	if !trusts(old) {
		t.Fatal("the certificate is not that of the file")
	}
	newCert, newKey, now := certificate(t)
	for from, to := range map[string]string{newKey: key, newCert: cert} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the new certificate is used", func() bool { return trusts(now) })
	if trusts(old) {
		t.Error("the old one is, too")
	}
}

// certificate makes one for 127.0.0.1 and a client's configuration that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return certFile, keyFile, &tls.Config{RootCAs: pool}
}

func (p *program) shows(metric string) bool {
	_, metrics := p.get("/metrics")
	return strings.Contains(metrics, "\n"+metric+"\n")
}

func TestMetrics_ShowWhenCredentialsExpire(t *testing.T) {
	t.Parallel()
	seed := func() []byte {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := pair.Seed()
		return seed
	}
	credentials := func(claims string) string {
		token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
		return fmt.Sprintf("-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"+
			"-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", token, seed())
	}
	file := filepath.Join(t.TempDir(), "relay.creds")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(credentials(`{"exp":1900000000}`))
	cert, key, _ := certificate(t)
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL(), "NATS_CREDENTIALS_FILE="+file, "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key)
	if !p.shows("sine_relay_nats_credentials_expiry_timestamp_seconds 1.9e+09") {
		t.Error("the credentials' end is not shown")
	}
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, `sine_relay_certificate_expiry_timestamp_seconds{certificate="public"} 1.`) {
		t.Error("the certificate's end is not shown")
	}
	for what, c := range map[string]struct{ content, shown string }{
		"never end":               {credentials(`{}`), "0"},
		"are not credentials":     {"nothing", "1"},
		"have a JWT that is none": {credentials(`{"exp":"soon"}`), "1"},
	} {
		write(c.content)
		if !p.shows("sine_relay_nats_credentials_expiry_timestamp_seconds " + c.shown) {
			t.Errorf("credentials that %s: the metric is not %s", what, c.shown)
		}
	}
}

func TestReload_NATSPasswordNeedsNoRestart(t *testing.T) {
	t.Parallel()
	password := func(secret string) func(*server.Options) {
		return natstest.WithUser("relay", secret)
	}
	nats := natstest.Start(t, password("Zfirst"))
	secret := &mounted{t: t, dir: t.TempDir()}
	secret.write(map[string]string{"password": "Zfirst\n"})
	p := runServe(t, "NATS_URL="+nats.URL(), "NATS_USER=relay", "NATS_PASSWORD_FILE="+filepath.Join(secret.dir, "password")).ready()
	secret.write(map[string]string{"password": "Zsecond\n"})
	nats.Stop()
	nats.Restart(password("Zsecond"))
	eventually(t, "it signs in with the new password", func() bool {
		code, _, err := p.post(webhook("signin_after", noon, "Ada"))
		return err == nil && code == 200
	})
}
