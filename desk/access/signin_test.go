package access

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"github.com/sine-relay/sine-relay/internal/wait"
)

func anna() *mockoidc.MockUser {
	return &mockoidc.MockUser{Subject: "u-17", PreferredUsername: "anna", Groups: []string{"reception-hq", "choir", "watchers"}}
}

const asAnna = `u-17 is "anna" (viewer at *, reception at hq)`

func TestSignIn_LeadsToTheProviderAndBackToThePage(t *testing.T) {
	d, p := withProvider(t)
	p.QueueUser(anna())
	b := newBrowser(t, d)
	b.get(d.URL+"/orders?site=hq&kind=lockdown").says(t, http.StatusOK, "GET /orders?site=hq&kind=lockdown: "+asAnna)
	if len(b.trail) != 4 || b.trail[0].Path != "/sign-in" || b.trail[1].Host != strings.TrimPrefix(p.Addr(), "http://") || b.trail[2].Path != "/callback" {
		t.Errorf("led by %v", b.trail)
	}
	asked := b.trail[1].Query()
	for name, want := range map[string]string{"response_type": "code", "code_challenge_method": "S256", "scope": "openid profile groups", "prompt": ""} {
		if asked.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, asked.Get(name), want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(asked.Get(name)) < 26 {
			t.Errorf("%s is too short to be random: %q", name, asked.Get(name))
		}
	}
	calls := p.calls.Load()
	b.get(d.URL+"/").says(t, http.StatusOK, asAnna)
	if p.calls.Load() != calls {
		t.Error("the provider was asked again during a session")
	}
	if d.signIns(signedIn) != 1 {
		t.Error("one sign-in is not counted")
	}
}

// The pages that are open when a session ends begin a sign-in each.
func TestSignIn_SeveralAtOnceInOneBrowser(t *testing.T) {
	d, p := withProvider(t)
	b := newBrowser(t, d)
	var ways []*url.URL
	for range maxBegun {
		p.QueueUser(anna())
		b.stop = "/callback"
		b.get(d.URL + "/live")
		ways = append(ways, b.last())
	}
	b.stop = ""
	for _, way := range ways {
		b.get(way.String()).says(t, http.StatusOK, "GET /live: "+asAnna)
	}
	b.setCookie(d, "sine-relay-session", "-")
	b.stop = mockoidc.AuthorizationEndpoint
	most := 0
	for range 3 * maxBegun {
		b.get(d.URL + "/live")
		most = max(most, len(b.cookies(d)))
	}
	if most > maxBegun+1 {
		t.Errorf("the browser keeps %d cookies", most)
	}
}

// Whoever makes somebody follow links fills the browser with sign-ins that end nowhere. A
// header that is too large would be refused before the desk, and then for every page.
func TestSignIn_CookiesStaySmall(t *testing.T) {
	d, _ := withProvider(t)
	b := newBrowser(t, d)
	b.stop = mockoidc.AuthorizationEndpoint
	b.setCookie(d, "sine-relay-session", strings.Repeat("x", maxSession))
	for range 2 * maxBegun {
		b.get(d.URL + "/sign-in?return=" + url.QueryEscape("/?"+strings.Repeat("&", maxReturn-2)))
		size := 0
		for _, c := range b.cookies(d) {
			size += len("__Host-") + len(c.String()) + len("; ")
		}
		if size > 8<<10 {
			t.Fatalf("the cookies have %d bytes", size)
		}
	}
}

// The desk starts without its provider, says what is wrong, and mends itself.
func TestSignIn_SaysThatTheProviderIsAwayAndTriesAgain(t *testing.T) {
	p := startProvider(t)
	p.away.Store(true)
	d := startDesk(t, p.config(), httptest.NewServer)
	wait.Until(t, "the log says so at once", func() bool { return strings.Contains(d.log.String(), "nobody can sign in") })
	b := newBrowser(t, d)
	got := b.get(d.URL + "/orders")
	got.says(t, http.StatusServiceUnavailable, "does not answer as it should")
	if want := "10; url=/sign-in?return=%2Forders"; got.header.Get("Refresh") != want || got.header.Get("Retry-After") != "10" {
		t.Errorf("the page tries again by %q, want %q", got.header.Get("Refresh"), want)
	}
	calls := p.calls.Load()
	for range 5 {
		b.get(d.URL + "/orders")
	}
	if p.calls.Load() != calls {
		t.Error("each page looks for a provider that is away")
	}
	p.away.Store(false)
	p.QueueUser(anna())
	d.later.Store(int64(3 * time.Second))
	b.get(d.URL+"/sign-in?return=%2Forders").says(t, http.StatusOK, "GET /orders: "+asAnna)
	if d.signIns(unavailable) != 6 {
		t.Errorf("%v are counted", d.signIns(unavailable))
	}
}

func TestSignIn_LeadsNowhereElse(t *testing.T) {
	for _, to := range []string{
		"//example.com", "///example.com", `/\example.com`, `\\example.com`, "/\t/example.com", "/\n/example.com", "https://example.com", "https:example.com",
		"javascript:alert(1)", "example.com", "", "/sign-in", "/callback?code=x", "/sign-out", "/live/../sign-out", "/%zz", "/" + strings.Repeat("x", maxReturn), "/\u2028", "@example.com", "http:///example.com",
	} {
		if got := back(to); got != "/" {
			t.Errorf("%q leads to %q", to, got)
		}
	}
	for _, to := range []string{"/", "/live", "/visit?request=1-2%203&site=hq", "/decisions?site=hq&day=2026-11-29"} {
		if got := back(to); got != to {
			t.Errorf("%q leads to %q", to, got)
		}
	}
	d, p := withProvider(t)
	p.QueueUser(anna())
	b := newBrowser(t, d)
	b.get(d.URL+"//example.com/..//").says(t, http.StatusOK, "GET /: "+asAnna)
	b.stop = "/"
	b.get(d.URL + "/sign-in?return=//example.com")
	if here := b.last(); here.Host != strings.TrimPrefix(d.URL, "http://") {
		t.Errorf("who is signed in is led to %s", here)
	}
}

// A flood of sign-ins is stopped at the desk, and does not reach the provider.
func TestSignIn_AttemptsAreLimited(t *testing.T) {
	d, p := withProvider(t)
	p.QueueUser(anna())
	inside := newBrowser(t, d)
	inside.get(d.URL+"/").says(t, http.StatusOK, asAnna)
	b := newBrowser(t, d)
	b.stop = mockoidc.AuthorizationEndpoint
	var got answer
	for range attemptsOfOne.Burst {
		if got = b.get(d.URL + "/sign-in"); got.status == http.StatusTooManyRequests {
			break
		}
	}
	got.says(t, http.StatusTooManyRequests, "Wait ten seconds")
	if got.header.Get("Retry-After") == "" || d.signIns(limited) != 1 {
		t.Error("nothing says when to try again")
	}
	calls := p.calls.Load()
	b.stop = ""
	for range 20 {
		b.get(d.URL + "/callback?code=guessed&state=guessed")
	}
	if p.calls.Load() != calls {
		t.Error("what cannot be right reaches the provider")
	}
	inside.get(d.URL+"/").says(t, http.StatusOK, asAnna)
}

func TestSignIn_AttemptsInAllAreLimited(t *testing.T) {
	d, _ := withProvider(t)
	limited := 0
	for i := range 2 * attemptsAtOnce {
		r := httptest.NewRequest(http.MethodGet, "/sign-in", nil)
		r.RemoteAddr = "198.51." + string(rune('0'+i%10)) + "." + string(rune('0'+i/10%10)) + ":1"
		w := httptest.NewRecorder()
		d.access.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
		if w.Code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 || limited > attemptsAtOnce {
		t.Errorf("%d of %d are stopped", limited, 2*attemptsAtOnce)
	}
}

func TestSignIn_AddressesAnswerOnlyToTheirMethods(t *testing.T) {
	d, _ := withProvider(t)
	b := newBrowser(t, d)
	for path, allowed := range map[string]string{"/sign-in": "GET", "/callback": "GET", "/sign-out": "GET, POST"} {
		got := b.do(http.MethodPut, d.URL+path, nil)
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != allowed {
			t.Errorf("PUT %s: %d, allowed %q", path, got.status, got.header.Get("Allow"))
		}
	}
}

// Nothing of a user and none of the secrets is in what the desk writes, counts or shows.
func TestPrivacy_NothingOfUsersAndNoSecretIsLoggedOrCounted(t *testing.T) {
	d, p := withProvider(t)
	user := &mockoidc.MockUser{Subject: "ZmarkSubject", PreferredUsername: "ZmarkName", Email: "Zmark@example.com", Groups: []string{"ZmarkGroup", "ops"}}
	var shown strings.Builder
	secrets := []string{p.ClientSecret}
	forges := []func(jwt.MapClaims) string{
		nil,
		func(c jwt.MapClaims) string { c["nonce"] = "ZmarkNonce"; return p.sign(c) },
		func(c jwt.MapClaims) string { c["sub"] = "Zmark\x00"; return p.sign(c) },
		func(c jwt.MapClaims) string { c["exp"] = "ZmarkTime"; return p.sign(c) },
		func(c jwt.MapClaims) string { c["groups"] = []string{"ZmarkGroup"}; return p.sign(c) },
		func(jwt.MapClaims) string { return "ZmarkToken" },
		func(c jwt.MapClaims) string { return p.sign(c)[:200] },
	}
	for _, forge := range forges {
		p.QueueUser(user)
		p.forge = forge
		b := newBrowser(t, d)
		got := b.get(d.URL + "/live")
		for _, u := range b.trail {
			secrets = append(secrets, u.Query().Get("code"), u.Query().Get("state"), u.Query().Get("nonce"))
		}
		if got.status != http.StatusOK {
			shown.WriteString(got.text)
		}
		b = newBrowser(t, d)
		b.stop = "/callback"
		b.get(d.URL + "/live?x=ZmarkPage")
		b.stop = ""
		p.away.Store(true)
		got = b.get(b.last().String())
		p.away.Store(false)
		if got.status == http.StatusOK {
			t.Error("somebody signed in without the provider")
		}
		shown.WriteString(got.text)
	}
	everything := d.log.String() + d.metricsText() + shown.String()
	if i := strings.Index(strings.ToLower(everything), "zmark"); i >= 0 {
		t.Errorf("something of a user leaked: …%s…", everything[max(0, i-200):min(len(everything), i+100)])
	}
	for _, secret := range slices.DeleteFunc(secrets, func(s string) bool { return s == "" }) {
		if strings.Contains(everything, secret) {
			t.Errorf("a secret leaked: %s", secret)
		}
	}
	if strings.Count(d.log.String(), "a sign-in failed") == 0 {
		t.Error("the log does not say that sign-ins failed")
	}
}
