package access

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"
)

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
		{"a party in a list", func(p *testProvider) func(jwt.MapClaims) string { return with(p, "azp", []string{p.ClientID}) }, "azp"},
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

func TestSignIn_ReadsGroupsAsProvidersWriteThem(t *testing.T) {
	tests := []struct {
		name   string
		groups any
		want   string
	}{
		{"a list", []any{"ops", "watchers"}, "viewer at *, operator at hq lab"},
		{"one as a text", "ops", "operator at hq lab"},
		{"a text is one group, whatever is in it", "ops,watchers", ""},
		{"what is not a text counts for nothing", []any{1, nil, map[string]any{"ops": true}, []any{"ops"}}, ""},
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

// Those who want to sign in while the provider does not answer wait for one search, and
// no longer than it may take.
func TestProvider_ThatHangsIsAway(t *testing.T) {
	release, calls := make(chan struct{}), atomic.Int64{}
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hung.Close()
	defer close(release)
	a, err := New(t.Context(), Config{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	p := newProvider(a, OIDC{Issuer: hung.URL, ClientID: "desk"})
	p.client.Timeout = 200 * time.Millisecond
	var waiting sync.WaitGroup
	for range 50 {
		waiting.Go(func() {
			if _, err := p.find(context.Background()); err == nil {
				t.Error("a provider was found")
			}
		})
	}
	waiting.Wait()
	if calls.Load() != 1 {
		t.Errorf("it was looked for %d times", calls.Load())
	}
	p.turn <- struct{}{} // somebody looks for it
	closed, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.find(closed); !errors.Is(err, context.Canceled) {
		t.Errorf("who has closed the page waits: %v", err)
	}
}
