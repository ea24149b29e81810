package deskserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

const patience = 20 * time.Second

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for giveUp := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(giveUp) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// options are those of a desk on free ports, with more settings.
func options(t testing.TB, log io.Writer, settings ...string) Options {
	t.Helper()
	environ := []string{"SINE_RELAY_DESK_LISTEN=127.0.0.1:0", "SINE_RELAY_DESK_ADMIN_LISTEN=127.0.0.1:0"}
	for _, s := range settings {
		environ = append(environ, "SINE_RELAY_"+s)
	}
	s, of, err := config.LoadForDesk(environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Settings: s, Desk: of, Log: slog.New(slog.NewJSONHandler(log, nil)), Version: "1.2.3", NATS: server.AdminConfig(s), Trier: Trier(s)}
}

// run starts a desk, and ends it with the test.
func run(t testing.TB, o Options) (srv *Server, end func() error) {
	t.Helper()
	srv, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	end = func() error {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(patience):
			t.Fatal("it does not end")
			return nil
		}
	}
	t.Cleanup(func() { end() })
	return srv, end
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

func TestServer_ServesPagesAndSaysWhenTheyAreTrue(t *testing.T) {
	nats := natstest.Start(t)
	var log logtest.Buffer
	srv, end := run(t, options(t, &log, "NATS_URL="+nats.URL()))
	admin := "http://" + srv.AdminAddr().String()
	eventually(t, "ready", func() bool { status, _ := get(t, admin+"/readyz"); return status == 200 })
	if status, body := get(t, srv.URL()+"/"); status != 200 || !strings.Contains(body, "<h1>Doors</h1>") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := get(t, admin+"/livez"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	status, metrics := get(t, admin+"/metrics")
	for _, want := range []string{`sine_relay_build_info{`, "sine_relay_desk_nats_connected 1", "sine_relay_desk_", `version="1.2.3"`} {
		if status != 200 || !strings.Contains(metrics, want) {
			t.Errorf("%d: no %s among the metrics", status, want)
		}
	}
	if status, _ := get(t, srv.URL()+"/metrics"); status != 404 {
		t.Errorf("metrics for everybody: %d", status)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if status, _ := get(t, srv.URL()+"/"); status != 0 {
		t.Error("it serves after its end")
	}
}

// What is followed live has no end of its own: it must not hold up the desk's.
func TestServer_EndsWhileSomebodyLooksOn(t *testing.T) {
	nats := natstest.Start(t)
	var log logtest.Buffer
	srv, end := run(t, options(t, &log, "NATS_URL="+nats.URL()))
	response, err := client.Get(srv.URL() + "/events?of=doors")
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %v", response, err)
	}
	defer response.Body.Close()
	if _, err := response.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := end(); err != nil || time.Since(begin) > shutdownTimeout {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Errorf("what is followed was cut off: %v", err)
	}
}

// Without NATS the desk starts, says so, and is ready once NATS is there.
func TestServer_StartsWithoutNATS(t *testing.T) {
	nats := natstest.Start(t)
	address := nats.URL()
	nats.Stop()
	var log logtest.Buffer
	srv, _ := run(t, options(t, &log, "NATS_URL="+address))
	eventually(t, "the page says it", func() bool {
		_, body := get(t, srv.URL()+"/")
		return strings.Contains(body, "Not known at the moment")
	})
	_, verbose := get(t, "http://"+srv.AdminAddr().String()+"/readyz?verbose")
	if !strings.Contains(verbose, "starting") && !strings.Contains(verbose, "degraded") {
		t.Error(verbose)
	}
}

func TestServer_NamesWhatKeepsItFromStarting(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct{ setting, want string }{
		"a port that is taken":         {"DESK_LISTEN=" + taken.Addr().String(), "SINE_RELAY_DESK_LISTEN: listen tcp"},
		"the admin port that is taken": {"DESK_ADMIN_LISTEN=" + taken.Addr().String(), "SINE_RELAY_DESK_ADMIN_LISTEN: listen tcp"},
		"no NATS to connect to":        {"NATS_CREDENTIALS_FILE=", ""},
	} {
		var log logtest.Buffer
		o := options(t, &log, "NATS_URL=nats://127.0.0.1:1", c.setting)
		if c.want == "" {
			o.NATS.NATS.Servers = nil // what can never work
			c.want = "desk:"
		}
		srv, err := Start(o)
		if err == nil {
			srv.release()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// certified writes a certificate for a name and its key.
func certified(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificate_IsReadAgainAndABadOneIsNamed(t *testing.T) {
	nats, dir := natstest.Start(t), t.TempDir()
	certified(t, dir, "first")
	var log logtest.Buffer
	srv, _ := run(t, options(t, &log, "NATS_URL="+nats.URL(), "DESK_TLS_CERT_FILE="+dir+"/tls.crt", "DESK_TLS_KEY_FILE="+dir+"/tls.key"))
	presented := func() string {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(srv.URL(), "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if status, body := get(t, srv.URL()+"/"); status != 200 || presented() != "first" {
		t.Errorf("%d %s, by %s", status, body, presented())
	}
	certified(t, dir, "second")
	if srv.certificate.reload(); presented() != "second" || srv.certificate.failure() != nil {
		t.Errorf("%s is presented: %v", presented(), srv.certificate.failure())
	}
	if err := os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv.certificate.reload()
	srv.certificate.reload()
	if presented() != "second" || srv.certificate.failure() == nil || strings.Count(log.String(), "cannot be read again") != 1 {
		t.Errorf("%s is presented: %v\n%s", presented(), srv.certificate.failure(), log.String())
	}
	if h := srv.health(); h.Warning == nil {
		t.Error("readiness does not say it")
	}
	if _, err := newCertificate(dir+"/tls.crt", dir+"/tls.key", srv.log); err == nil {
		t.Error("a desk starts with a bad certificate")
	}
}

// relaysOf answers with relays, or an error. It does nothing else.
type relaysOf struct {
	desk.Broker
	relays []visit.Relay
	err    error
}

func (r relaysOf) Relays(context.Context) ([]visit.Relay, error) { return r.relays, r.err }

func TestTrier_HasWhatIsMarkedForTestsAndWhoseKeyIsHere(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"lobby": "# name: spring\nlobby-key-0123456789\n", "dock": "dock-key-0123456789\n", "empty": "# none\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	marked := func(name string, test bool) visit.RelayIntegration {
		return visit.RelayIntegration{Name: name, Site: "hq", Test: test}
	}
	status := visit.RelayStatus{Integrations: []visit.RelayIntegration{
		marked("lobby", true), marked("dock", false), marked("gate", true), marked("empty", true), marked("../lobby", true),
	}}
	all := &targets{broker: relaysOf{relays: []visit.Relay{{RelayStatus: status}, {RelayStatus: status}}}, keys: dir}
	if got := all.all(); len(got) != 1 || got[0] != (desk.TryTarget{Integration: "lobby", Site: "hq"}) {
		t.Errorf("%v", got)
	}
	if key, err := all.key("lobby"); key != "lobby-key-0123456789" || err != nil {
		t.Errorf("%q, %v", key, err)
	}
	// Those of before count until somebody knows better.
	all.broker, all.asked = relaysOf{err: visit.ErrDisconnected}, time.Time{}
	if got := all.all(); len(got) != 1 {
		t.Errorf("NATS is away: %v", got)
	}
	all.broker = relaysOf{}
	if got := all.all(); len(got) != 0 {
		t.Errorf("no relay has it any more: %v", got)
	}
	if Trier(config.Settings{}) != nil {
		t.Error("there is something to try where nothing is configured")
	}
}

// What answers as a relay need not be one: it neither makes an integration one for tests,
// nor moves one to a site whose operators may try it.
func TestTrier_HasNothingOfWhichRelaysSayDifferentThings(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lobby", "dock", "gate"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name+"-key-0123456789\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	relay := func(all ...visit.RelayIntegration) visit.Relay {
		return visit.Relay{RelayStatus: visit.RelayStatus{Integrations: all}}
	}
	honest := relay(visit.RelayIntegration{Name: "lobby", Site: "hq", Test: true}, visit.RelayIntegration{Name: "dock", Site: "hq"}, visit.RelayIntegration{Name: "gate", Site: "hq", Test: true})
	other := relay(visit.RelayIntegration{Name: "lobby", Site: "plant", Test: true}, visit.RelayIntegration{Name: "dock", Site: "hq", Test: true})
	for name, relays := range map[string][]visit.Relay{"first": {other, honest}, "last": {honest, other}, "among others": {honest, other, honest}} {
		all := &targets{broker: relaysOf{relays: relays}, keys: dir}
		if got := all.all(); len(got) != 1 || got[0] != (desk.TryTarget{Integration: "gate", Site: "hq"}) {
			t.Errorf("where it answers %s: %v", name, got)
		}
	}
}
