package relay

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/sine-relay/sine-relay/internal/clientip"
)

// lines are the log lines of webhooks and of their sums, level debug aside.
func (r *rig) lines(message string) (all []string) {
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, `"msg":"`+message+`"`) && !strings.Contains(line, `"level":"DEBUG"`) {
			all = append(all, line)
		}
	}
	return all
}

func TestRefusals_AreLoggedWithReasonAndAShortenedAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) {
		c.Integrations = []Integration{lobby("k"), {Name: "keyless"}, {Name: "broken", Invalid: true}}
		c.Integrations[0].AllowFrom = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	})
	for _, c := range []struct {
		name, path, key, address string
		want                     []string
	}{
		{"without a key", "lobby", "", "203.0.113.7:1", []string{`"integration":"lobby"`, `"reason":"missing_key","from":"203.0.113.0/24"`}},
		{"with a wrong key", "lobby", "wrong", "[2001:db8:1:2::9]:1", []string{`"reason":"wrong_key","from":"2001:db8:1::/48"`}},
		{"to nobody", "lobbby", "wrong", "203.0.113.7:1", []string{`"integration":"unknown"`, `"reason":"unknown_integration"`}},
		{"from elsewhere", "lobby", "k-0123456789abcdef", "198.51.100.7:1", []string{`"reason":"address","from":"198.51.100.0/24"`}},
		{"to an integration without a key", "keyless", "k-0123456789abcdef", "198.51.100.7:1", []string{`"integration":"keyless"`, `"reason":"no_key_configured"`}},
		{"to a broken integration", "broken", "k-0123456789abcdef", "198.51.100.7:1", []string{`"integration":"broken"`, `"reason":"integration_invalid"`}},
	} {
		before := len(r.lines("webhook"))
		w := r.post("/sine/"+c.path, checkedIn, func(req *http.Request) {
			req.RemoteAddr = c.address
			req.Header.Set("X-Sine-Auth", c.key)
		})
		if w.Code != 401 || strings.TrimSpace(w.Body.String()) != `{"code":"UNAUTHORIZED","message":"The API key is missing or wrong."}` {
			t.Errorf("%s: answered %d %s", c.name, w.Code, w.Body)
		}
		lines := r.lines("webhook")[before:]
		if len(lines) != 1 {
			t.Fatalf("%s: %d lines", c.name, len(lines))
		}
		for _, want := range append(c.want, `"level":"WARN"`, `"result":"unauthorized"`) {
			if !strings.Contains(lines[0], want) {
				t.Errorf("%s: no %s in %s", c.name, want, lines[0])
			}
		}
	}
	if log := r.log.String(); strings.Contains(log, "203.0.113.7") || strings.Contains(log, "1:2::9") || strings.Contains(log, "0123456789abcdef") || strings.Contains(log, "lobbby") {
		t.Errorf("it says too much:\n%s", log)
	}
}

// Ten thousand calls from as many networks, with and without the limiter's block,
// are a few lines.
func TestRefusals_AFloodIsAFewLines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const calls = 10_000
	for n := range calls {
		r.post(fmt.Sprintf("/sine/%s", []string{"lobby", fmt.Sprint("guess-", n)}[n%2]), checkedIn, func(req *http.Request) {
			req.RemoteAddr = netip.AddrFrom4([4]byte{byte(11 + n>>12), byte(n >> 4), 0, byte(n)}).String() + ":1"
			req.Header.Set("X-Sine-Auth", "wrong")
		})
	}
	r.Flush(t.Context())
	if got := len(r.lines("webhook")); got != 2*refusalsLogged {
		t.Errorf("%d lines of webhooks", got)
	}
	sums := strings.Join(r.lines("webhooks refused"), "")
	for _, want := range []string{
		fmt.Sprintf(`"integration":"lobby","reason":"wrong_key","count":%d`, calls/2-refusalsLogged),
		fmt.Sprintf(`"integration":"unknown","reason":"unknown_integration","count":%d`, calls/2-refusalsLogged),
	} {
		if !strings.Contains(sums, want) {
			t.Errorf("no %s in %s", want, sums)
		}
	}
}

// When a window ends, what came in it is summed up, and the next is shown again.
func TestRefusals_AreSummedUpWhenTheWindowEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.refusals.window = 50 * time.Millisecond
	for range refusalsLogged + 2 {
		r.refusals.allow("lobby", reasonWrongKey, "203.0.113.0/24", false)
	}
	eventually(t, "the window has ended", func() bool { return len(r.lines("webhooks refused")) > 0 })
	if !r.refusals.allow("lobby", reasonWrongKey, "203.0.113.0/24", false) {
		t.Error("the next one is not shown")
	}
	r.Flush(t.Context())
	if lines := r.lines("webhooks refused"); len(lines) != 1 || !strings.Contains(lines[0], `"count":2`) || !strings.Contains(lines[0], `"last_from":"203.0.113.0/24"`) {
		t.Errorf("%q", lines)
	}
}

func TestRefusals_AnIntegrationWithoutAKeyIsCountedByName(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) {
		c.Integrations = []Integration{lobby("a", "b"), {Name: "keyless"}, {Name: "broken", Invalid: true}}
	})
	r.post("/sine/keyless", checkedIn)
	r.post("/sine/keyless", checkedIn, func(req *http.Request) { req.Header.Del("X-Sine-Auth") })
	r.post("/sine/broken", checkedIn)
	metrics := string(gather(t, r))
	for _, want := range []string{
		`sine_relay_webhooks_refused_total{integration="keyless",reason="no_key_configured"} 2`,
		`sine_relay_webhooks_refused_total{integration="broken",reason="integration_invalid"} 1`,
		`sine_relay_integration_api_keys{integration="lobby"} 2`,
		`sine_relay_integration_api_keys{integration="keyless"} 0`,
		`sine_relay_integration_api_keys{integration="broken"} 0`,
		`sine_relay_integration_info{integration="lobby",site="hq"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	if err := r.reload(lobby("a")); err != nil {
		t.Fatal(err)
	}
	if metrics := string(gather(t, r)); strings.Contains(metrics, `sine_relay_integration_api_keys{integration="keyless"}`) || !strings.Contains(metrics, `sine_relay_integration_api_keys{integration="lobby"} 1`) {
		t.Error("the reload is not shown")
	}
}

// A key that came by http has been on the network in clear. What a proxy says of
// it counts, and nobody else's word does.
func TestRefusals_PlainHTTPIsCountedOrRefused(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{false, true} {
		r := newRig(t, func(c *Config) {
			c.Proxies = clientip.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
			c.RefusePlainHTTP = refuse
		})
		refused := 200
		if refuse {
			refused = 403
		}
		by := func(address, proto string) func(*http.Request) {
			return func(req *http.Request) {
				req.RemoteAddr = address + ":1"
				req.Header.Set("X-Forwarded-For", "203.0.113.7")
				req.Header.Set("X-Forwarded-Proto", proto)
			}
		}
		for _, c := range []struct {
			name, address, proto string
			want                 int
		}{
			{"by http", "10.0.0.1", "http", refused},
			{"by https", "10.0.0.1", "https", 200},
			{"the proxy says nothing", "10.0.0.1", "", 200},
			{"somebody else says http", "203.0.113.7", "http", 200},
		} {
			if w := r.post("/sine/lobby", checkedIn, by(c.address, c.proto)); w.Code != c.want {
				t.Errorf("refuse %t, %s: answered %d, want %d", refuse, c.name, w.Code, c.want)
			}
		}
		if w := r.post("/sine/lobby", checkedIn, by("10.0.0.1", "http"), wrongKey); w.Code != 401 {
			t.Errorf("refuse %t: a wrong key by http was answered %d", refuse, w.Code)
		}
		metrics := string(gather(t, r))
		if !strings.Contains(metrics, `sine_relay_webhooks_plain_http_total{integration="lobby"} 1`) {
			t.Errorf("refuse %t: it is not counted", refuse)
		}
		if refuse != strings.Contains(metrics, `sine_relay_webhooks_refused_total{integration="lobby",reason="plain_http"} 1`) {
			t.Errorf("refuse %t: it is not counted as it ended", refuse)
		}
		if lines := strings.Join(r.lines("webhook"), ""); !strings.Contains(lines, "the API key first crossed the network unencrypted") {
			t.Errorf("refuse %t: it is not logged:\n%s", refuse, lines)
		}
		if received, settled := r.ledger(t); received != settled {
			t.Errorf("refuse %t: the ledger says %g and %g", refuse, received, settled)
		}
	}
}

// gather returns what a scrape would show.
func gather(t *testing.T, r *rig) []byte {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}
