package embedded_test

import (
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

func start(t *testing.T, cfg embedded.Config) *embedded.Server {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := embedded.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// relaysInbox is where the relay may listen for answers.
var relaysInbox = nats.CustomInboxPrefix("_INBOX_SINE_RELAY")

func connect(t *testing.T, url string, o ...nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStore_KeepsAcknowledgedMessagesOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, embedded.Config{StoreDir: dir})
	js := connect(t, first.ClientURL("admin"))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "VISITORS", Subjects: []string{"visitors.v1.event.>"}}); err != nil {
		t.Fatal(err)
	}
	ack, err := connect(t, first.ClientURL("relay"), relaysInbox).Publish(t.Context(), "visitors.v1.event.hq.checked_in", []byte("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	first.Shutdown()
	first.Shutdown() // twice does no harm

	second := start(t, embedded.Config{StoreDir: dir})
	if second.Password("relay") != first.Password("relay") {
		t.Error("the password has changed")
	}
	stream, err := connect(t, second.ClientURL("admin")).Stream(t.Context(), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), ack.Sequence)
	if err != nil || string(m.Data) != "Ada" {
		t.Errorf("%+v %v", m, err)
	}
	if storage := stream.CachedInfo().Config.Storage; storage != jetstream.FileStorage {
		t.Errorf("stored in %s", storage)
	}
	if _, err := os.Stat(dir + "/jetstream"); err != nil {
		t.Error(err)
	}
}

func TestEmbedded_RelayConnectsInProcess(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Config{StoreDir: t.TempDir()})
	js := connect(t, "", nats.InProcessServer(s.InProcess()), nats.UserInfo("relay", s.Password("relay")), relaysInbox)
	if _, err := js.Stream(t.Context(), "VISITORS"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Error(err)
	}
}

func TestPassword_WrongOneIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Config{StoreDir: t.TempDir()})
	for name, o := range map[string][]nats.Option{
		"no password":  nil,
		"a wrong one":  {nats.UserInfo("relay", "x")},
		"an empty one": {nats.UserInfo("relay", "")},
		"another's":    {nats.UserInfo("admin", s.Password("relay"))},
	} {
		nc, err := nats.Connect("nats://"+s.Addr(), o...)
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			nc.Close()
		}
	}
}

func TestStore_IsNeverOpenedTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, embedded.Config{StoreDir: dir})
	_, err := embedded.Start(embedded.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("%v", err)
	}
	first.Shutdown()
	start(t, embedded.Config{StoreDir: dir})
}

// nats-server calls it fatal, and would end the process with its own log.
func TestStore_FailureToOpenIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/jetstream", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.Start(embedded.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "JetStream") {
		t.Fatalf("%v", err)
	}
	if err := os.Remove(dir + "/jetstream"); err != nil {
		t.Fatal(err)
	}
	start(t, embedded.Config{StoreDir: dir}) // nothing was left behind
}

func TestEmbedded_LogsNoSecret(t *testing.T) {
	t.Parallel()
	var log logtest.Buffer
	dir := t.TempDir()
	s := start(t, embedded.Config{
		StoreDir: dir,
		Logger:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err := connect(t, s.ClientURL("relay"), relaysInbox).Conn().Publish("visitors.v1.event.hq.checked_in", []byte("Zmark")); err != nil {
		t.Fatal(err)
	}
	_, _ = nats.Connect("nats://"+s.Addr(), nats.UserInfo("relay", "Zwrong"))
	s.Shutdown()
	text := log.String()
	if !strings.Contains(text, "nats-server") || !strings.Contains(text, "authentication error") {
		t.Errorf("the server's log is missing:\n%s", text)
	}
	for _, secret := range []string{s.Password("relay"), s.Password("admin"), "Zmark", "Zwrong"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	if strings.Contains(s.Addr()+s.URL(), s.Password("relay")) {
		t.Error("the password is in the address")
	}
	u, err := url.Parse(s.ClientURL("operator"))
	if err != nil || u.Host != s.Addr() || u.User.Username() != "operator" {
		t.Errorf("%v %v", u, err)
	}
}

// 200 to a visitor's event means that it is on disk: the time of a start must
// not tempt anybody to give that up.
func TestEmbedded_StartsQuicklyWithAnEmptyStore(t *testing.T) {
	best := time.Hour
	for range 3 {
		began := time.Now()
		s := start(t, embedded.Config{StoreDir: t.TempDir()})
		best = min(best, time.Since(began))
		s.Shutdown()
	}
	t.Logf("an empty store starts in %s", best)
	if best > time.Second { // 80 ms is measured on the built binary; this is a machine under load
		t.Errorf("took %s", best)
	}
}
