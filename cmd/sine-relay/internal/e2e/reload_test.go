package e2e

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

func TestTheConfigurationIsReloaded(t *testing.T) {
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
		return strings.HasPrefix(body, "degraded: the configuration has faults") && strings.Contains(metrics, "\nsine_relay_config_last_reload_successful 0\n")
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
	if strings.Count(p.out.String(), "has faults and is not in force") > 3 {
		t.Errorf("it does not stop to complain:\n%s", p.out.String())
	}
	if strings.Contains(p.out.String(), "0123456789") {
		t.Error("a key was logged")
	}
}

func TestTheCertificateIsReloaded(t *testing.T) {
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
