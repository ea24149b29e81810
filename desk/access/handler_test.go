package access

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// call sends a request to a handler as from an address.
func call(d *testDesk, r *http.Request, remote string) *httptest.ResponseRecorder {
	r.RemoteAddr = remote
	w := httptest.NewRecorder()
	d.Config.Handler.ServeHTTP(w, r)
	return w
}

func request(method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func behindProxy(t *testing.T, change ...func(*Proxy)) *testDesk {
	p := &Proxy{UserHeader: "X-Auth-User", GroupsHeader: "X-Auth-Groups", Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("2001:db8::/64")}}
	for _, c := range change {
		c(p)
	}
	return startDesk(t, Config{Proxy: p}, httptest.NewServer)
}

const asBen = `ben is "ben" (operator at hq lab)`

func TestProxy_SaysWhoSomebodyIs(t *testing.T) {
	d := behindProxy(t)
	tests := []struct {
		name    string
		remote  string
		headers []string
		status  int
		want    string
	}{
		{"its headers", "192.0.2.7:1234", []string{"X-Auth-User", "ben", "X-Auth-Groups", "choir, ops"}, 200, asBen},
		{"by IPv6", "[2001:db8::7]:1234", []string{"X-Auth-User", "ben", "X-Auth-Groups", "ops"}, 200, asBen},
		{"IPv4 in IPv6", "[::ffff:192.0.2.7]:1234", []string{"x-auth-user", "ben", "x-auth-groups", "ops"}, 200, asBen},
		{"a stranger with its headers", "192.0.2.16:1234", []string{"X-Auth-User", "ben", "X-Auth-Groups", "ops"}, 403, "answers only to its proxy"},
		{"a stranger without", "198.51.100.1:1234", nil, 403, "answers only to its proxy"},
		{"a stranger who names the proxy", "198.51.100.1:1234", []string{"X-Forwarded-For", "192.0.2.7", "X-Auth-User", "ben", "X-Auth-Groups", "ops"}, 403, "answers only to its proxy"},
		{"a stranger on this machine", "127.0.0.1:1234", []string{"X-Auth-User", "ben", "X-Auth-Groups", "ops"}, 403, "answers only to its proxy"},
		{"no address", "@", []string{"X-Auth-User", "ben", "X-Auth-Groups", "ops"}, 403, "answers only to its proxy"},
		{"no user", "192.0.2.7:1", []string{"X-Auth-Groups", "ops"}, 401, "did not say clearly who you are"},
		{"an empty user", "192.0.2.7:1", []string{"X-Auth-User", "", "X-Auth-Groups", "ops"}, 401, "did not say clearly who you are"},
		{"two users", "192.0.2.7:1", []string{"X-Auth-User", "mallory", "X-Auth-User", "ben", "X-Auth-Groups", "ops"}, 401, "did not say clearly who you are"},
		{"the groups twice", "192.0.2.7:1", []string{"X-Auth-User", "mallory", "X-Auth-Groups", "ops", "X-Auth-Groups", "choir"}, 401, "did not say clearly who you are"},
		{"a user that is not printable", "192.0.2.7:1", []string{"X-Auth-User", "ben\u202e", "X-Auth-Groups", "ops"}, 401, "did not say clearly who you are"},
		{"a user that is not UTF-8", "192.0.2.7:1", []string{"X-Auth-User", "ben\xff", "X-Auth-Groups", "ops"}, 401, "did not say clearly who you are"},
		{"a user that is too long", "192.0.2.7:1", []string{"X-Auth-User", strings.Repeat("b", 256), "X-Auth-Groups", "ops"}, 401, "did not say clearly who you are"},
		{"a name that looks alike", "192.0.2.7:1", []string{"X_Auth_User", "ben", "X-Auth-Groups", "ops"}, 401, "did not say clearly who you are"},
		{"no groups", "192.0.2.7:1", []string{"X-Auth-User", "ben"}, 403, "none of your groups has a role"},
		{"other groups", "192.0.2.7:1", []string{"X-Auth-User", "ben", "X-Auth-Groups", "choir,ops-lab,OPS"}, 403, "none of your groups has a role"},
	}
	for _, test := range tests {
		got := call(d, request(http.MethodGet, "/", test.headers...), test.remote)
		if got.Code != test.status || !strings.Contains(got.Body.String(), test.want) {
			t.Errorf("%s: %d %q, want %d %q", test.name, got.Code, got.Body, test.status, test.want)
		}
	}
	for reason, want := range map[refusal]float64{address: 5, header: 8, withoutRole: 2} {
		if got := d.refused(reason); got != want {
			t.Errorf("%s: %v are counted, want %v", reason, got, want)
		}
	}
	if log := d.log.String(); strings.Contains(log, "ben") || strings.Contains(log, "mallory") || !strings.Contains(log, "192.0.2.0/24") {
		t.Errorf("the log says %s", log)
	}
}

func TestProxy_SeparatesGroupsAsItIsConfigured(t *testing.T) {
	d := behindProxy(t, func(p *Proxy) { p.Separator = "|" })
	got := call(d, request(http.MethodGet, "/", "X-Auth-User", "ben", "X-Auth-Groups", "a,b|ops"), "192.0.2.7:1")
	if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), asBen) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	got = call(d, request(http.MethodGet, "/", "X-Auth-User", "ben", "X-Auth-Groups", "ops,b|c"), "192.0.2.7:1")
	if got.Code != http.StatusForbidden {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// The proxy owns sign-in: its addresses are pages like others, and cookies mean nothing.
func TestProxy_HasNoSessions(t *testing.T) {
	d := behindProxy(t)
	if d.access.CanSignOut() {
		t.Error("somebody can sign out of the desk")
	}
	r := request(http.MethodGet, "/sign-in", "X-Auth-User", "ben", "X-Auth-Groups", "ops")
	if got := call(d, r, "192.0.2.7:1"); !strings.Contains(got.Body.String(), asBen) || len(got.Header().Values("Set-Cookie")) > 0 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func locally(t *testing.T) *testDesk {
	return startDesk(t, Config{Loopback: true}, httptest.NewServer)
}

func TestLoopback_IsForThisMachineByItsNames(t *testing.T) {
	d := locally(t)
	tests := []struct {
		name, remote, host string
		headers            []string
		status             int
		want               string
	}{
		{"its name", "127.0.0.1:1", "localhost:8081", nil, 200, `local is "this computer" (operator at *)`},
		{"its address", "127.0.0.1:1", "127.0.0.1:8081", nil, 200, "operator at *"},
		{"another of its addresses", "127.8.8.8:1", "127.8.8.8", nil, 200, "operator at *"},
		{"IPv6", "[::1]:1", "[::1]:8081", nil, 200, "operator at *"},
		{"IPv6 without port", "[::1]:1", "[::1]", nil, 200, "operator at *"},
		{"a name in capitals", "127.0.0.1:1", "LocalHost", nil, 200, "operator at *"},
		{"a name that somebody has lead here", "127.0.0.1:1", "evil.example:8081", nil, 403, "only to the names"},
		{"such a name that begins well", "127.0.0.1:1", "127.0.0.1.evil.example:8081", nil, 403, "only to the names"},
		{"such a name that ends well", "127.0.0.1:1", "evil.localhost:8081", nil, 403, "only to the names"},
		{"a name with a user", "127.0.0.1:1", "localhost@evil.example", nil, 403, "only to the names"},
		{"no name", "127.0.0.1:1", "", nil, 403, "only to the names"},
		{"the address of nothing", "127.0.0.1:1", "0.0.0.0:8081", nil, 403, "only to the names"},
		{"from elsewhere", "192.0.2.7:1", "localhost", nil, 403, "for the machine that it runs on alone"},
		{"through a proxy", "127.0.0.1:1", "localhost", []string{"X-Forwarded-For", "127.0.0.1"}, 403, "for the machine that it runs on alone"},
		{"through a proxy of the standard", "127.0.0.1:1", "localhost", []string{"Forwarded", "for=192.0.2.7"}, 403, "for the machine that it runs on alone"},
		{"through a proxy that says only that", "127.0.0.1:1", "localhost", []string{"Via", "1.1 proxy"}, 403, "for the machine that it runs on alone"},
	}
	for _, test := range tests {
		got := call(d, request(http.MethodGet, "/", append(test.headers, "Host", test.host)...), test.remote)
		if got.Code != test.status || !strings.Contains(got.Body.String(), test.want) {
			t.Errorf("%s: %d %q, want %d %q", test.name, got.Code, got.Body, test.status, test.want)
		}
	}
	if d.refused(host) != 6 || d.refused(address) != 4 {
		t.Errorf("%v and %v are counted", d.refused(host), d.refused(address))
	}
}

// Whoever vouches for a user, a page of another site changes nothing in their name, and
// reads nothing.
func TestCrossOrigin_OtherSitesNeitherChangeNorRead(t *testing.T) {
	proxied, local := behindProxy(t), locally(t)
	signed, p := withProvider(t)
	_, cookie := signedInBrowser(t, signed, p)
	people := map[string]func(r *http.Request) *httptest.ResponseRecorder{
		"proxy": func(r *http.Request) *httptest.ResponseRecorder {
			r.Header.Set("X-Auth-User", "ben")
			r.Header.Set("X-Auth-Groups", "ops")
			return call(proxied, r, "192.0.2.7:1")
		},
		"loopback": func(r *http.Request) *httptest.ResponseRecorder { return call(local, r, "127.0.0.1:1") },
		"provider": func(r *http.Request) *httptest.ResponseRecorder {
			r.AddCookie(&http.Cookie{Name: "sine-relay-session", Value: cookie})
			return call(signed, r, "127.0.0.1:1")
		},
	}
	tests := []struct {
		name    string
		method  string
		headers []string
		ok      bool
	}{
		{"a form of the desk", "POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8081"}, true},
		{"a form of the desk in an older browser", "POST", []string{"Origin", "http://localhost:8081"}, true},
		{"a command", "POST", nil, true},
		{"a form of another site", "POST", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Origin", "https://evil.example"}, false},
		{"a form of another port", "POST", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Origin", "http://localhost:3000"}, false},
		{"a form of another site in an older browser", "POST", []string{"Origin", "https://evil.example"}, false},
		{"a form of a page without origin", "POST", []string{"Origin", "null"}, false},
		{"a script of another site", "DELETE", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "https://evil.example"}, false},
		{"a link of another site", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, true},
		{"an address that was typed in", "GET", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, true},
		{"a frame of another site", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, false},
		{"an image of another site", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, false},
		{"a stream of another port", "GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, false},
		{"a question of another site", "OPTIONS", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "https://evil.example"}, false},
	}
	for by, send := range people {
		for _, test := range tests {
			got := send(request(test.method, "http://localhost:8081/decisions.csv", test.headers...))
			if ok := got.Code == http.StatusOK; ok != test.ok || !ok && (got.Code != http.StatusForbidden || !strings.Contains(got.Body.String(), "Another web site")) {
				t.Errorf("%s: %s: %d %q", by, test.name, got.Code, got.Body)
			}
			if got.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %s: another site may read it", by, test.name)
			}
		}
	}
}

// A proxy may change Host; then Origin is compared with the address for people.
func TestCrossOrigin_KnowsTheAddressForPeople(t *testing.T) {
	d := behindProxy(t, func(p *Proxy) { p.Origin = "https://desk.example.com" })
	for origin, want := range map[string]int{"https://desk.example.com": 200, "https://example.com": 403, "http://desk.example.com": 403} {
		r := request(http.MethodPost, "/orders", "Host", "10.0.0.1:8081", "Origin", origin, "X-Auth-User", "ben", "X-Auth-Groups", "ops")
		if got := call(d, r, "192.0.2.7:1"); got.Code != want {
			t.Errorf("%s: %d %s", origin, got.Code, got.Body)
		}
	}
}

// The pages of sign-in need the style of the desk before anybody has signed in. Nothing
// else is there without a user.
func TestHandler_ShowsNothingBesideTheStyleToStrangers(t *testing.T) {
	d, _ := withProvider(t)
	for _, path := range []string{"/static/desk.css", "/static/icons/door.svg"} {
		got := call(d, request(http.MethodGet, path), "127.0.0.1:1")
		if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `: is ""`) && !strings.Contains(got.Body.String(), ` is "" ()`) || got.Header().Get("Cache-Control") != "" {
			t.Errorf("%s: %d %q", path, got.Code, got.Body)
		}
	}
	for _, target := range []string{"/", "/static", "/static/../orders", "/static/./../orders", "/static/%2e%2e/orders", "/static//x", "/Static/x", "/sign-in/", "/callback/", "/sign-in/../orders", "/%2fstatic/x"} {
		got := call(d, request(http.MethodGet, target), "127.0.0.1:1")
		if got.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %q", target, got.Code, got.Body)
		}
	}
	if got := call(d, request(http.MethodPost, "/static/desk.css"), "127.0.0.1:1"); got.Code != http.StatusUnauthorized {
		t.Errorf("POST: %d %q", got.Code, got.Body)
	}
}

func TestHandler_PagesAreNotStored(t *testing.T) {
	got := call(locally(t), request(http.MethodGet, "/", "Host", "localhost"), "127.0.0.1:1")
	if got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", got.Header())
	}
}

func TestRender_ShowsPagesAsTheDeskLooks(t *testing.T) {
	d := locally(t)
	d.access.Render = func(w http.ResponseWriter, _ *http.Request, p Page) { _, _ = w.Write([]byte("styled: " + p.Title)) }
	page := []string{"Host", "evil.example", "Accept", "text/html"}
	got := call(d, request(http.MethodGet, "/", page...), "127.0.0.1:1")
	if got.Code != http.StatusForbidden || got.Body.String() != "styled: Refused" || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	got = call(d, request(http.MethodGet, "/", "Host", "evil.example"), "127.0.0.1:1")
	if strings.Contains(got.Body.String(), "styled") || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("a command is shown %s", got.Body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if got.Header().Get(name) != want {
			t.Errorf("%s is %q", name, got.Header().Get(name))
		}
	}
	if !strings.Contains(got.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the page may load from elsewhere")
	}
}

func TestMetrics_AreThereFromTheStart(t *testing.T) {
	d := locally(t)
	text := d.metricsText()
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	if n := strings.Count(text, "sine_relay_desk_sign_ins_total{"); n != len(results) {
		t.Errorf("%d results", n)
	}
	if n := strings.Count(text, "sine_relay_desk_requests_refused_total{"); n != len(refusals) {
		t.Errorf("%d reasons", n)
	}
}
