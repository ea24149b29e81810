package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What somebody on this machine needs to sign in is in the log and in files.
func TestEmbedded_CredentialsAreInTheLogAndInFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := runServe(t, "NATS_STORE_DIR="+dir, "NATS_LISTEN=127.0.0.1:0").ready()
	signedIn(t, p, dir, "consumer")
}

// Who looks at the orders on the relay's machine has its settings.
func TestOrders_BesideTheEmbeddedNATS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := runServe(t, "NATS_STORE_DIR="+dir, "NATS_LISTEN=127.0.0.1:0").ready()
	address := signedIn(t, p, dir, "operator").Conn().ConnectedUrl()
	password := filepath.Join(dir, "nats-passwords", "operator")
	environ := environment("NATS_STORE_DIR="+dir, "NATS_LISTEN=:4222")
	endsWith(t, exitUsage, environ, regexp.QuoteMeta("SINE_RELAY_NATS_URL=nats://127.0.0.1:4222 SINE_RELAY_NATS_USER=operator SINE_RELAY_NATS_PASSWORD_FILE="+password), "orders")
	must(t, append(environ, "SINE_RELAY_NATS_URL="+address, "SINE_RELAY_NATS_USER=operator", "SINE_RELAY_NATS_PASSWORD_FILE="+password), "(?s)RELAY.* ready ", "orders")
}

// signedIn connects by what the log and the store directory say.
func signedIn(t *testing.T, p *program, dir, user string) jetstream.JetStream {
	t.Helper()
	var address string
	for line := range strings.Lines(p.out.String()) {
		var start struct{ Msg, NATS string }
		if json.Unmarshal([]byte(line), &start) == nil && start.Msg == "sine-relay" {
			address = strings.Split(start.NATS, ", ")[1]
		}
	}
	password, err := os.ReadFile(filepath.Join(dir, "nats-passwords", user))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(address, nats.UserInfo(user, strings.TrimSpace(string(password))))
	if err != nil {
		t.Fatalf("%q: %v", address, err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// 200 means that the next start finds the event, also when the store was removed
// under the relay just before.
func TestEmbedded_EventIsStoredAfterTheStoreWasRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	settings := []string{"NATS_STORE_DIR=" + dir, "NATS_LISTEN=127.0.0.1:0", "STORE_BUDGET=9s", "WRITE_TIMEOUT=20s"}
	p := runServe(t, settings...).ready()
	p.must(http.StatusOK, "SUCCESS", webhook("signin_after", noon, "Ada"))
	// At once: the relay makes it anew while its files are removed one by one.
	if err := os.Rename(filepath.Join(dir, "jetstream"), filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	p.must(http.StatusOK, "SUCCESS", webhook("signin_after", noon, "Grace"))
	p.end()
	for _, line := range []string{"restarting the embedded NATS", "the store of the embedded NATS was removed while it ran"} {
		if !strings.Contains(p.out.String(), line) {
			t.Errorf("the log has no %q:\n%s", line, p.out.String())
		}
	}
	again := runServe(t, settings...)
	// Degraded: with the store went the bucket of lockdowns, and a person must look.
	eventually(t, "it is up", func() bool { code, _ := again.get("/readyz"); return code == http.StatusOK })
	if n := len(stored(t, signedIn(t, again, dir, "admin"))); n != 1 {
		t.Errorf("%d events are stored", n)
	}
}

// The same where there is a spool: the event is there while the server is not.
func TestEmbedded_SpoolKeepsEventsWhileTheStoreIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := runServe(t, "NATS_STORE_DIR="+dir, "NATS_LISTEN=127.0.0.1:0", "SPOOL_DIR="+t.TempDir()).ready()
	js := signedIn(t, p, dir, "admin")
	eventually(t, "the store is gone and cannot be made anew", func() bool {
		return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) == nil
	})
	p.must(http.StatusOK, "SUCCESS", webhook("signin_after", noon, "Ada"))
	eventually(t, "degraded", func() bool { _, body := p.get("/readyz"); return strings.Contains(body, "degraded") })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event is stored", func() bool {
		stream, err := js.Stream(t.Context(), "VISITORS")
		return err == nil && stream.CachedInfo().State.Msgs == 1
	})
}
