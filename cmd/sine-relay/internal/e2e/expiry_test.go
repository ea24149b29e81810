package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

func (p *program) shows(metric string) bool {
	_, metrics := p.get("/metrics")
	return strings.Contains(metrics, "\n"+metric+"\n")
}

func TestTheMetricsSayWhatExpires(t *testing.T) {
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

func TestAChangedPasswordForNATSNeedsNoRestart(t *testing.T) {
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
