package access

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
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

// A provider has a key, a client and an issuer, and each token has its sign-in.
func TestSignIn_RefusesTokensThatAreNotForIt(t *testing.T) {
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	with := func(p *testProvider, name string, value any) func(jwt.MapClaims) string {
		return func(c jwt.MapClaims) string {
			c = maps.Clone(c)
			if c[name] = value; value == nil {
				delete(c, name)
			}
			return p.sign(c)
		}
	}
	signed := func(method jwt.SigningMethod, key any, kid string) func(jwt.MapClaims) string {
		return func(c jwt.MapClaims) string {
			token := jwt.NewWithClaims(method, c)
			token.Header["kid"] = kid
			text, err := token.SignedString(key)
			if err != nil {
				t.Error(err)
			}
			return text
		}
	}
	tests := []struct {
		name  string
		forge func(*testProvider) func(jwt.MapClaims) string
		why   string
	}{
		{"another nonce", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "nonce", "other") }, "nonce"},
		{"no nonce", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "nonce", nil) }, "nonce"},
		{"another audience", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "aud", "wiki") }, "audience"},
		{"no audience", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "aud", nil) }, "audience"},
		{"several audiences and no party", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "aud", []string{p.ClientID, "wiki"}) }, "azp"},
		{"another party", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "azp", "wiki") }, "azp"},
		{"a party that is no text", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "azp", []string{p.ClientID}) }, "azp"},
		{"another issuer", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "iss", "https://example.com") }, "different provider"},
		{"no issuer", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "iss", nil) }, "different provider"},
		{"expired beyond the skew", func(p *testProvider) func(jwt.MapClaims) string {
			return with(p, "exp", time.Now().Add(-61*time.Second).Unix())
		}, "expired"},
		{"no expiry", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "exp", nil) }, "expired"},
		{"from the future", func(p *testProvider) func(jwt.MapClaims) string {
			return with(p, "iat", time.Now().Add(2*time.Minute).Unix())
		}, "clocks"},
		{"no subject", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "sub", nil) }, "subject"},
		{"a subject with a line break", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "sub", "u-17\nu-18") }, "subject"},
		{"alg none", func(p *testProvider) func(jwt.MapClaims) string {
			return signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "")
		}, "algorithm"},
		{"HS256 with the public key", func(p *testProvider) func(jwt.MapClaims) string {
			der, err := x509.MarshalPKIXPublicKey(p.Keypair.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			return signed(jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), p.Keypair.Kid)
		}, "algorithm"},
		{"another key under the same name", func(p *testProvider) func(jwt.MapClaims) string {
			return signed(jwt.SigningMethodRS256, stranger, p.Keypair.Kid)
		}, "signature"},
		{"another key under another name", func(p *testProvider) func(jwt.MapClaims) string {
			return signed(jwt.SigningMethodRS256, stranger, "new")
		}, "signature"},
		{"another payload", func(p *testProvider) func(jwt.MapClaims) string {
			return func(c jwt.MapClaims) string {
				parts := strings.Split(p.sign(c), ".")
				c["groups"] = []string{"ops"}
				parts[1] = strings.Split(p.sign(c), ".")[1]
				return strings.Join(parts, ".")
			}
		}, "signature"},
		{"no token", func(*testProvider) func(jwt.MapClaims) string { return func(jwt.MapClaims) string { return "" } }, "malformed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, p := withProvider(t)
			p.QueueUser(anna())
			_, _ = p.Keypair.KeyID()
			p.forge = test.forge(p)
			b := newBrowser(t, d)
			b.get(d.URL+"/").says(t, http.StatusForbidden, "did not sign you in")
			if d.signIns(invalidToken) != 1 || !strings.Contains(d.log.String(), test.why) {
				t.Errorf("the log says %s", d.log)
			}
			p.forge = nil
			b.stop = mockoidc.AuthorizationEndpoint
			b.get(d.URL + "/")
			if b.last().Path != mockoidc.AuthorizationEndpoint {
				t.Error("somebody has a session")
			}
		})
	}
}

func TestSignIn_BoundsTheSkewOfClocks(t *testing.T) {
	for name, change := range map[string]func(jwt.MapClaims){
		"expired within the skew":         func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-30 * time.Second).Unix() },
		"from the future within the skew": func(c jwt.MapClaims) { c["iat"] = time.Now().Add(30 * time.Second).Unix() },
		"for this client and for another": func(c jwt.MapClaims) { c["azp"] = c["aud"].([]any)[0]; c["aud"] = append(c["aud"].([]any), "wiki") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := withProvider(t)
			p.QueueUser(anna())
			p.forge = func(c jwt.MapClaims) string { change(c); return p.sign(c) }
			newBrowser(t, d).get(d.URL+"/").says(t, http.StatusOK, asAnna)
		})
	}
}

// An answer of the provider belongs to the browser that was sent there, and to one sign-in.
func TestCallback_IsGoodOnceAndInItsBrowser(t *testing.T) {
	d, p := withProvider(t)
	begin := func(b *browser) *url.URL {
		p.QueueUser(anna())
		b.stop = "/callback"
		b.get(d.URL + "/live")
		b.stop = ""
		return b.last()
	}
	const words = "not begun in this browser"

	t.Run("another browser", func(t *testing.T) {
		back := begin(newBrowser(t, d))
		newBrowser(t, d).get(back.String()).says(t, http.StatusBadRequest, words)
	})
	t.Run("another state", func(t *testing.T) {
		b := newBrowser(t, d)
		back := begin(b)
		query := back.Query()
		state := query.Get("state")
		for _, wrong := range []string{"", "short", state[:8], state[:len(state)-1] + "-", state + "A", strings.Repeat("A", 26), "\u00e9\x00;=,"} {
			query.Set("state", wrong)
			b.get(d.URL+"/callback?"+query.Encode()).says(t, http.StatusBadRequest, words)
		}
		b.get(back.String()).says(t, http.StatusOK, "GET /live: "+asAnna)
	})
	t.Run("the state of another sign-in of the same browser", func(t *testing.T) {
		b := newBrowser(t, d)
		first, second := begin(b).Query(), begin(b).Query()
		first.Set("state", second.Get("state"))
		b.get(d.URL+"/callback?"+first.Encode()).says(t, http.StatusForbidden, "did not sign you in")
	})
	t.Run("a second time", func(t *testing.T) {
		b := newBrowser(t, d)
		back := begin(b)
		b.get(back.String()).says(t, http.StatusOK, asAnna)
		b.get(back.String()).says(t, http.StatusOK, "GET /: "+asAnna) // who went back in the browser
		b.setCookie(d, "sine-relay-session", "-")
		b.get(back.String()).says(t, http.StatusBadRequest, words)
	})
	t.Run("a second time with cookies that were kept", func(t *testing.T) {
		b := newBrowser(t, d)
		back := begin(b)
		kept := b.cookies(d)
		b.get(back.String()).says(t, http.StatusOK, asAnna)
		thief := newBrowser(t, d)
		for _, c := range kept {
			thief.setCookie(d, c.Name, c.Value)
		}
		thief.get(back.String()).says(t, http.StatusForbidden, "did not sign you in")
		if d.signIns(invalidCode) == 0 {
			t.Error("the provider did not refuse the code")
		}
	})
	t.Run("the code in a sign-in of somebody else", func(t *testing.T) {
		victim, thief := newBrowser(t, d), newBrowser(t, d)
		stolen, own := begin(victim).Query(), begin(thief).Query()
		own.Set("code", stolen.Get("code"))
		thief.get(d.URL+"/callback?"+own.Encode()).says(t, http.StatusForbidden, "did not sign you in")
	})
	t.Run("too late", func(t *testing.T) {
		b := newBrowser(t, d)
		back := begin(b)
		d.later.Store(int64(11 * time.Minute))
		defer d.later.Store(0)
		b.get(back.String()).says(t, http.StatusBadRequest, words)
	})
	t.Run("of another issuer", func(t *testing.T) {
		b := newBrowser(t, d)
		back := begin(b)
		b.get(back.String()+"&iss=https://example.com").says(t, http.StatusForbidden, "did not sign you in")
	})
	t.Run("the provider refuses", func(t *testing.T) {
		b := newBrowser(t, d)
		back := begin(b).Query()
		b.get(d.URL+"/callback?error=ZmarkError&error_description=ZmarkText&state="+back.Get("state")).says(t, http.StatusForbidden, "did not sign you in")
		if strings.Contains(d.log.String(), "Zmark") || !strings.Contains(d.log.String(), "another error") {
			t.Errorf("the log says %s", d.log)
		}
	})
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

func TestSignIn_RefusesThoseWithoutARoleInWords(t *testing.T) {
	for name, groups := range map[string][]string{"other groups": {"choir", "OPS", "ops "}, "no groups": nil, "an empty one": {""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := withProvider(t)
			p.QueueUser(&mockoidc.MockUser{Subject: "u-18", Groups: groups})
			b := newBrowser(t, d)
			got := b.get(d.URL + "/")
			got.says(t, http.StatusForbidden, "Ask the administrator of Sine Relay to give one of your groups the role viewer, reception or operator")
			for _, m := range atHQ {
				if strings.Contains(got.text, m.Group) {
					t.Errorf("the page names the group %s", m.Group)
				}
			}
			if missing := strings.Contains(d.log.String(), "no groups"); missing != (groups == nil) || d.signIns(noRole) != 1 {
				t.Errorf("the log says %s", d.log)
			}
			// The provider would not ask who it is a second time.
			b.stop = mockoidc.AuthorizationEndpoint
			b.get(d.URL + "/sign-in")
			if b.last().Query().Get("prompt") != "login" {
				t.Error("no other account can be chosen")
			}
		})
	}
}

func TestSignIn_ReadsGroupsAsProvidersWriteThem(t *testing.T) {
	tests := []struct {
		name   string
		groups any
		want   string
	}{
		{"a list", []any{"ops", "watchers"}, "viewer at *, operator at hq lab"},
		{"one as a text", "ops", "operator at hq lab"},
		{"a text is one group, whatever is in it", "ops,watchers", ""},
		{"what is no text is none", []any{1, nil, map[string]any{"ops": true}, []any{"ops"}}, ""},
		{"an object is none", map[string]any{"ops": true}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, p := withProvider(t, func(c *Config) { c.OIDC.GroupsClaim = "https://example.com/roles" })
			p.QueueUser(anna())
			p.forge = func(c jwt.MapClaims) string { c["https://example.com/roles"] = test.groups; return p.sign(c) }
			got := newBrowser(t, d).get(d.URL + "/")
			if test.want == "" {
				got.says(t, http.StatusForbidden, "none of your groups")
				return
			}
			got.says(t, http.StatusOK, "("+test.want+")")
		})
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

func TestCallback_SaysThatTheProviderIsAway(t *testing.T) {
	d, p := withProvider(t)
	b := newBrowser(t, d)
	b.stop = "/callback"
	b.get(d.URL + "/")
	if err := p.Shutdown(); err != nil {
		t.Fatal(err)
	}
	b.stop = ""
	b.get(b.last().String()).says(t, http.StatusServiceUnavailable, "does not answer as it should")
	// What it says of itself is read anew, as it may have changed.
	b.get(d.URL+"/").says(t, http.StatusServiceUnavailable, "does not answer as it should")
}

func TestProvider_MustSpeakForItselfByHTTPS(t *testing.T) {
	for name, test := range map[string]struct {
		says func(map[string]any)
		why  string
	}{
		"another issuer":             {func(m map[string]any) { m["issuer"] = "https://example.com" }, "did not match"},
		"tokens without https":       {func(m map[string]any) { m["token_endpoint"] = "http://login.example.com/token" }, "must be a URL that begins with https"},
		"keys without https":         {func(m map[string]any) { m["jwks_uri"] = "http://login.example.com/keys" }, "must be a URL that begins with https"},
		"sign-in without https":      {func(m map[string]any) { m["authorization_endpoint"] = "http://login.example.com/" }, "must be a URL that begins with https"},
		"sign-in by a script":        {func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" }, "must be a URL that begins with https"},
		"no endpoint for the tokens": {func(m map[string]any) { delete(m, "token_endpoint") }, "must be a URL that begins with https"},
		"more than is read":          {func(m map[string]any) { m["more"] = strings.Repeat("x", maxReply) }, "decode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProvider(t)
			p.says = test.says
			d := startDesk(t, p.config(), httptest.NewServer)
			newBrowser(t, d).get(d.URL+"/").says(t, http.StatusServiceUnavailable, "does not answer as it should")
			if !strings.Contains(d.log.String(), test.why) || len(d.log.String()) > 1000 {
				t.Errorf("the log says %s", d.log)
			}
		})
	}
}

func TestProvider_GetsTheSecretInTheWayThatItUnderstands(t *testing.T) {
	for _, methods := range [][]string{nil, {"client_secret_basic"}, {"client_secret_post", "client_secret_basic"}, {"client_secret_post"}} {
		t.Run(strings.Join(methods, " "), func(t *testing.T) {
			t.Parallel()
			p := startProvider(t)
			p.says = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = methods }
			d := startDesk(t, p.config(), httptest.NewServer)
			p.QueueUser(anna())
			newBrowser(t, d).get(d.URL+"/").says(t, http.StatusOK, asAnna)
		})
	}
}

// The code and the secret go to the provider and nowhere else.
func TestProvider_DoesNotPassTheSecretOn(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody else is asked") }))
	defer thief.Close()
	redirects := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer redirects.Close()
	for _, endpoint := range []string{"token_endpoint", "jwks_uri"} {
		p := startProvider(t)
		p.says = func(m map[string]any) { m[endpoint] = redirects.URL }
		d := startDesk(t, p.config(), httptest.NewServer)
		p.QueueUser(anna())
		if got := newBrowser(t, d).get(d.URL + "/"); got.status == http.StatusOK {
			t.Errorf("%s: somebody signed in", endpoint)
		}
	}
}

func TestPrintable_IsWhatAPageCanShow(t *testing.T) {
	for name, want := range map[string]string{
		" Anna ": "Anna", "An\nna\u202e": "Anna", "An\xffna": "Anna", "\x00": "", strings.Repeat("é", 150): strings.Repeat("é", 100),
	} {
		if got := printable(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
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
