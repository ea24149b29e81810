package relay

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/relay/clientip"
)

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
func TestOnlyFailuresAreLimited(t *testing.T) {
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

func TestAnIntegrationMayBeCalledFromAllowedAddressesOnly(t *testing.T) {
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
