package config

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// Whatever stands in the file, it is refused with errors that say where, or
// gives integrations that the relay takes and can answer for.
func FuzzIntegrationsFile(f *testing.F) {
	f.Add("integrations: [{name: a}]")
	f.Add("defaults: {timeZone: Australia/Adelaide, rejectMode: status, fallbacks: {timeout: {decision: accept}}}\nintegrations:\n- {name: a, site: hq, kinds: [checked_in]}\n")
	f.Add(`{"integrations":[{"name":"a","responses": {"reject":{"code":"REJECTED","message":"{visitorText}","n":[1,null,{"x":true}]}}}]}`)
	f.Add("integrations: [{name: a, responses: {accept: {n: .nan}, reject: {1: .inf}}}]")
	f.Add("integrations: [{name: Head Office, decisionBudget: 3, kindAliases: {x: y}}]")
	f.Add("integrations: &a [*a]")
	f.Add("integrations: [{<<: {name: a}, fallbacks: {bad_reply: {visitorText: 'Ask {ref}'}}}]")
	dir := f.TempDir()
	file := filepath.Join(dir, "i.yaml")
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys", "a"), []byte(key), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(environ("KEYS=", "INTEGRATIONS_FILE="+file, "KEYS_DIR="+filepath.Join(dir, "keys")), nil)
		if err != nil {
			checkProblems(t, err)
			return
		}
		if len(s.NonFatal) > 0 {
			checkProblems(t, s.NonFatal)
			return
		}
		serveOnce(t, s)
	})
}

// checkProblems: each says where and what.
func checkProblems(t *testing.T, err error) {
	t.Helper()
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("no problems: %v", err)
	}
	for _, problem := range problems {
		if problem.Where == "" || problem.What == "" {
			t.Errorf("half a problem: %+v", problem)
		}
	}
}

// nowhere takes every record, and keeps none.
type nowhere struct{}

func (nowhere) Publish(context.Context, visit.Message) (visit.Receipt, error) {
	return visit.Receipt{}, nil
}

// serveOnce gives the integrations to the relay and has the first refuse a
// visitor. The body is none, so that nobody is asked.
func serveOnce(t *testing.T, s Settings) {
	t.Helper()
	r, err := relay.New(relay.Config{
		Integrations: s.Integrations, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		Limits: relay.Limits{
			Body: 1, Header: 1 << 10, JSONDepth: 1, ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Second,
			Connections: 1, StoreBudget: time.Second, CheckInRequests: 1, Events: 1, WaitingEvents: 1, BodyMemory: 1 << 20,
		},
		Publisher: nowhere{},
	})
	if err != nil {
		t.Fatalf("the relay takes it not: %v", err)
	}
	req := httptest.NewRequest("POST", "/sine/"+s.Integrations[0].Name+"/check-in-request", strings.NewReader("too large"))
	req.Header.Set("X-Sine-Auth", key)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if w.Code != http.StatusOK && w.Code != http.StatusForbidden {
		t.Errorf("answered %d: %s", w.Code, w.Body)
	}
}

// Whatever the environment holds, loading it ends with settings or with errors.
func FuzzEnvironment(f *testing.F) {
	f.Add("LISTEN", ":8080", "BODY_LIMIT", "1MiB")
	f.Add("NATS_URL", "nats://a:b@c:4222,tls://d", "KEYS", "a,b,,c")
	f.Add("NATS_URL", ",", "KEYS", "# x\n,")
	f.Add("STORE_BUDGET", "-5s", "EVENT_STREAM_MAX_AGE", "99999999999d")
	f.Add("PORT", "tcp://10.0.0.1:80", "LISTEN_PORT", "80")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		for _, name := range []string{name1, name2} {
			if strings.HasSuffix(name, "_FILE") || strings.HasSuffix(name, "_DIR") {
				return // would read files of this machine
			}
		}
		s, err := Load([]string{Prefix + name1 + "=" + value1, Prefix + name2 + "=" + value2}, map[string]string{
			"SINE_RELAY_NATS_URL": "nats://nats:4222", "SINE_RELAY_KEYS": key,
		})
		if err != nil {
			checkProblems(t, err)
			return
		}
		if len(s.NonFatal) > 0 {
			checkProblems(t, s.NonFatal)
			return
		}
		if len(s.Integrations) == 0 || len(s.Integrations[0].Keys) == 0 || len(s.NATSServers()) == 0 {
			t.Errorf("accepted without an integration or a NATS: %+v", s.Environment)
		}
	})
}
