package relay

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/internal/clientip"
)

func TestKey_Match(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, integration, key string
		status                 int
		label                  string
	}{
		{"the first key", "lobby", testKey, 200, ""},
		{"the second key", "lobby", "second-key", 200, ""},
		{"white space around the sent key", "lobby", " \t" + testKey + " ", 200, ""},
		{"white space around the configured key", "lobby", "second-key", 200, ""},
		{"a wrong key", "lobby", "wrong", 401, `{integration="lobby",reason="wrong_key"} 1`},
		{"a part of the key", "lobby", testKey[:5], 401, `{integration="lobby",reason="wrong_key"} 1`},
		{"no key", "lobby", "", 401, `{integration="lobby",reason="missing_key"} 1`},
		{"an unknown integration", "cellar", testKey, 401, `{integration="unknown",reason="unknown_integration"} 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) {
				cfg.Integrations[0].Keys = append(cfg.Integrations[0].Keys, NewKey("second", "\n second-key\n"))
			})
			w := r.post("/sine/"+c.integration, checkedIn, func(req *http.Request) { req.Header.Set("X-SINE-AUTH", c.key) })
			if w.Code != c.status {
				t.Errorf("answered %d, want %d", w.Code, c.status)
			}
			if metrics := string(gather(t, r)); c.label != "" && !strings.Contains(metrics, "sine_relay_webhooks_refused_total"+c.label) {
				t.Errorf("not counted as %s", c.label)
			}
		})
	}
}

func TestAuthenticate_AClientCannotSeeWhyItIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	answers := map[string]bool{}
	for _, path := range []string{"/sine/lobby", "/sine/cellar", "/sine/lobby/check-in-request"} {
		for _, key := range []string{"", "wrong"} {
			w := r.post(path, checkedIn, func(req *http.Request) { req.Header.Set("X-Sine-Auth", key) })
			w.Header().Del("Sine-Relay-Request-Id")
			var all strings.Builder
			w.Header().Write(&all)
			answers[all.String()+w.Body.String()] = true
		}
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers: %v", len(answers), answers)
	}
}

// untouchable is a body that must not be read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read before the key was checked")
	return 0, errors.New("read")
}

func (u untouchable) Close() error { return nil }

func TestAuthenticate_TheKeyIsCheckedBeforeTheBodyIsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/sine/lobby", "/sine/cellar"} {
		w := r.post(path, "", func(req *http.Request) {
			req.Header.Set("X-Sine-Auth", "wrong")
			req.Body = io.NopCloser(untouchable{t})
			req.ContentLength = 10
		})
		if w.Code != 401 {
			t.Errorf("answered %d", w.Code)
		}
	}
}

func TestKeyCheck_ReportsWhetherTheKeyIsAcceptedAndDoesNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	admin := NewAdmin(AdminConfig{Gatherer: r.metrics, Readiness: NewReadiness(func() Health { return Health{} }), KeyCheck: r.KeyCheck()}).Server().Handler
	check := func(path, digest string) int {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set(HeaderKeyDigest, digest)
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, req)
		return w.Code
	}
	good, bad := NewKey("k", testKey).Digest(), NewKey("k", "nobody's key").Digest()
	for _, c := range []struct {
		name, path, digest string
		want               int
	}{
		{"a key in force", "/sine/lobby", good, 204},
		{"another key", "/sine/lobby", bad, 401},
		{"an unknown integration", "/sine/nowhere", good, 401},
		{"no digest", "/sine/lobby", "", 400},
		{"the key itself", "/sine/lobby", testKey, 400},
		{"the beginning of a digest", "/sine/lobby", good[:8], 401},
	} {
		if got := check(c.path, c.digest); got != c.want {
			t.Errorf("%s: answered %d, want %d", c.name, got, c.want)
		}
	}
	for n, code := 0, 0; code != 429; n++ {
		if code = check("/sine/lobby", bad); n > 10_000 {
			t.Fatal("somebody who guesses is not held up")
		}
	}
	if got := check("/sine/lobby", good); got != 204 {
		t.Errorf("a key in force is answered %d because others are wrong", got)
	}
	if sent := append(r.broker.published, r.broker.asked...); len(sent) != 0 {
		t.Errorf("%d messages were sent", len(sent))
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/sine/lobby", nil))
	if w.Code != 405 {
		t.Errorf("from outside answered %d", w.Code)
	}
	if strings.Contains(r.log.String(), good) {
		t.Errorf("logged: %s", r.log.String())
	}
}

func from(address, forwarded string) func(*http.Request) {
	return func(req *http.Request) {
		req.RemoteAddr = address + ":1234"
		if forwarded != "" {
			req.Header.Set("X-Forwarded-For", forwarded)
		}
	}
}

func wrongKey(req *http.Request) { req.Header.Set("X-Sine-Auth", "wrong") }

// Somebody who guesses keys is slowed down; Sine, behind the same proxy, is not.
func TestAuthenticate_OnlyFailuresAreLimited(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) {
		c.Proxies = clientip.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	})
	const guesser, sine = "203.0.113.7", "198.51.100.9"
	blocked := 0
	for range 100 {
		switch w := r.post("/sine/lobby", checkedIn, wrongKey, from("10.0.0.1", guesser)); {
		case w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "1":
			blocked++
		case w.Code != http.StatusUnauthorized:
			t.Fatalf("answered %d", w.Code)
		}
		if w := r.post("/sine/lobby", checkedIn, from("10.0.0.1", guesser)); w.Code != 200 {
			t.Fatalf("a valid key was answered %d", w.Code)
		}
	}
	if blocked < 50 {
		t.Errorf("%d of 100 guesses were blocked", blocked)
	}
	if w := r.post("/sine/lobby", checkedIn, wrongKey, from("10.0.0.1", sine)); w.Code != http.StatusUnauthorized {
		t.Errorf("a first failure from elsewhere was answered %d", w.Code)
	}
	if w := r.post("/sine/lobby", checkedIn, wrongKey, from(guesser, sine)); w.Code != http.StatusTooManyRequests {
		t.Errorf("with a made-up address the guesser was answered %d", w.Code)
	}
}

func TestAuthenticate_AnIntegrationMayBeCalledFromAllowedAddressesOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) {
		c.Proxies = clientip.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
		c.Integrations[0].AllowFrom = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	})
	for _, c := range []struct {
		name, address, forwarded string
		want                     int
	}{
		{"an allowed address", "198.51.100.9", "", 200},
		{"an allowed address behind the proxy", "10.0.0.1", "198.51.100.9", 200},
		{"another address", "203.0.113.7", "", 401},
		{"another address that claims an allowed one", "203.0.113.7", "198.51.100.9", 401},
		{"another address behind the proxy", "10.0.0.1", "198.51.100.9, 203.0.113.7", 401},
	} {
		if w := r.post("/sine/lobby", checkedIn, from(c.address, c.forwarded)); w.Code != c.want {
			t.Errorf("%s: answered %d, want %d", c.name, w.Code, c.want)
		}
	}
	if metrics := string(gather(t, r)); !strings.Contains(metrics, `sine_relay_webhooks_refused_total{integration="lobby",reason="address"} 3`) {
		t.Error("they are not counted")
	}
}

// A proxy that does not set the header passes on what a stranger writes into it. The
// calls of Sine, which have none, show it.
func TestClientAddress_IsMissingFromATrustedProxy(t *testing.T) {
	t.Parallel()
	const title = "a trusted proxy does not pass on the client address"
	proxies := func(c *Config) {
		c.Proxies = clientip.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	}
	t.Run("it is counted, and logged once", func(t *testing.T) {
		r := newRig(t, proxies)
		for range 5 {
			r.post("/sine/lobby", checkedIn, from("10.0.0.1", ""))
		}
		r.post("/sine/lobby", checkedIn, from("10.0.0.1", "203.0.113.7"))
		lines := r.lines(title)
		if len(lines) != 1 || !strings.Contains(lines[0], `"proxy":"10.0.0.0/24","header":"X-Forwarded-For","reason":"no_header"`) || !strings.Contains(lines[0], "have it set the header anew") {
			t.Errorf("the log says %q", lines)
		}
		if !strings.Contains(string(gather(t, r)), `sine_relay_webhooks_without_client_address_total{integration="lobby"} 5`) {
			t.Error("it is not counted")
		}
	})
	t.Run("also where the address of the proxy is not allowed", func(t *testing.T) {
		r := newRig(t, proxies, func(c *Config) {
			c.Integrations[0].AllowFrom = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		})
		if w := r.post("/sine/lobby", checkedIn, from("10.0.0.1", "")); w.Code != 401 || len(r.lines(title)) != 1 {
			t.Errorf("answered %d, and the log says %q", w.Code, r.lines(title))
		}
	})
	t.Run("strangers do not fill the log, nor does who tries the relay out", func(t *testing.T) {
		r := newRig(t, proxies)
		r.post("/sine/lobby", checkedIn, from("10.0.0.1", ""), wrongKey)
		r.post("/sine/lobby", checkedIn, from("203.0.113.7", ""))
		req := httptest.NewRequest(http.MethodPost, "/sine/lobby", strings.NewReader(checkedIn))
		req.RemoteAddr = "10.0.0.1:1234"
		req.Header.Set("X-Sine-Auth", testKey)
		req.Header.Set("Sine-Relay-Synthetic", "true")
		w := httptest.NewRecorder()
		if r.Synthetic().ServeHTTP(w, req); w.Code != 200 {
			t.Errorf("a trial was answered %d", w.Code)
		}
		if lines := r.lines(title); len(lines) != 0 {
			t.Errorf("the log says %q", lines)
		}
	})
}
