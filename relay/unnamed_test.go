package relay

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/clientip"
)

// A proxy that does not set the header passes on what a stranger writes into it. The
// calls of Sine, which have none, show it.
func TestATrustedProxyThatDoesNotSayWhoCalls(t *testing.T) {
	const title = "a trusted proxy does not say who calls"
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
		if r.Trials().ServeHTTP(w, req); w.Code != 200 {
			t.Errorf("a trial was answered %d", w.Code)
		}
		if lines := r.lines(title); len(lines) != 0 {
			t.Errorf("the log says %q", lines)
		}
	})
}

func TestAProxyIsNamedOnceInAnHour(t *testing.T) {
	u, now := &unnamedCallers{}, time.Now()
	for i, c := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Minute, 0}, {59 * time.Minute, 0}, {time.Hour, 3}, {61 * time.Minute, 0}, {2 * time.Hour, 2}} {
		if got := u.due(now.Add(c.after)); got != c.want {
			t.Errorf("webhook %d, after %s: %d, want %d", i, c.after, got, c.want)
		}
	}
}
