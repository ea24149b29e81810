package access

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/promtest"
	"github.com/sine-relay/sine-relay/visit"
)

// provider is an OpenID provider in this process. mockoidc is a whole one in four files,
// whose key is at hand for tokens that a provider must never make. It does not check the
// redirect URL, and a client only by what it sends in the form.
type testProvider struct {
	*mockoidc.MockOIDC
	// away has it answer with errors, and forge replaces the ID token.
	away  atomic.Bool
	calls atomic.Int64
	forge func(claims jwt.MapClaims) string
	// says replaces what it says of itself.
	says func(map[string]any)
}

func startProvider(t *testing.T) *testProvider {
	t.Helper()
	m, err := mockoidc.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &testProvider{MockOIDC: m}
	if err := m.AddMiddleware(p.misbehave); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(httptest.NewUnstartedServer(nil).Listener, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Shutdown() })
	return p
}

func (p *testProvider) misbehave(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.calls.Add(1)
		if p.away.Load() {
			http.Error(w, "ZmarkMaintenance", http.StatusBadGateway)
			return
		}
		if id, secret, ok := r.BasicAuth(); ok { // which mockoidc claims to understand
			_ = r.ParseForm()
			r.Form.Set("client_id", id)
			r.Form.Set("client_secret", secret)
		}
		switch {
		case r.URL.Path == mockoidc.TokenEndpoint && p.forge != nil:
			rewrite(w, r, next, func(reply map[string]any) {
				claims := jwt.MapClaims{}
				text, _ := reply["id_token"].(string)
				_, _, _ = jwt.NewParser().ParseUnverified(text, claims)
				reply["id_token"] = p.forge(claims)
			})
		case r.URL.Path == mockoidc.DiscoveryEndpoint && p.says != nil:
			rewrite(w, r, next, p.says)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func rewrite(w http.ResponseWriter, r *http.Request, next http.Handler, change func(map[string]any)) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	var reply map[string]any
	if json.Unmarshal(rec.Body.Bytes(), &reply) == nil && rec.Code == http.StatusOK {
		change(reply)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rec.Code)
	_ = json.NewEncoder(w).Encode(reply)
}

// sign makes a token that is the provider's.
func (p *testProvider) sign(claims jwt.MapClaims) string {
	text, err := p.Keypair.SignJWT(claims)
	if err != nil {
		panic(err)
	}
	return text
}

// testDesk is a desk whose pages say who somebody is.
type testDesk struct {
	*httptest.Server
	t        *testing.T
	access   *Access
	log      *logtest.Buffer
	registry *prometheus.Registry
	// later moves the desk's clock.
	later atomic.Int64
}

var atHQ = []Mapping{
	{Group: "watchers", Role: Viewer, Sites: []string{visit.AllSites}},
	{Group: "reception-hq", Role: Reception, Sites: []string{"hq"}},
	{Group: "ops", Role: Operator, Sites: []string{"hq", "lab"}},
}

func startDesk(t *testing.T, cfg Config, start func(http.Handler) *httptest.Server) *testDesk {
	t.Helper()
	d := &testDesk{t: t, log: &logtest.Buffer{}, registry: prometheus.NewRegistry()}
	var handler http.Handler
	d.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(d.Close)
	if cfg.OIDC != nil && cfg.OIDC.RedirectURL == "" {
		cfg.OIDC.RedirectURL = d.URL + "/callback"
	}
	if cfg.Roles == nil && !cfg.Loopback {
		cfg.Roles = atHQ
	}
	cfg.Logger, cfg.Registerer = d.log.JSON(), d.registry
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(d.later.Load())) }
	a, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.access = a
	handler = a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := UserOf(r.Context())
		var grants []string
		for _, g := range u.Grants {
			grants = append(grants, fmt.Sprintf("%s at %s", g.Role, strings.Join(g.Sites, " ")))
		}
		fmt.Fprintf(w, "%s %s: %s is %q (%s), %s", r.Method, r.URL.RequestURI(), u.ID, u.Name, strings.Join(grants, ", "), r.FormValue("note"))
	}))
	return d
}

// withProvider is a desk by http on loopback, and its provider.
func withProvider(t *testing.T, change ...func(*Config)) (*testDesk, *testProvider) {
	t.Helper()
	p := startProvider(t)
	cfg := p.config()
	for _, c := range change {
		c(&cfg)
	}
	return startDesk(t, cfg, httptest.NewServer), p
}

func (p *testProvider) config() Config {
	return Config{OIDC: &OIDC{Issuer: p.Issuer(), ClientID: p.ClientID, ClientSecret: func() string { return p.ClientSecret },
		Scopes: []string{"profile", "groups"}}}
}

func (d *testDesk) signIns(how result) float64 {
	return promtest.Sum(d.t, d.registry, "sine_relay_desk_sign_ins_total", "result", string(how))
}

func (d *testDesk) refused(why refusal) float64 {
	return promtest.Sum(d.t, d.registry, "sine_relay_desk_requests_refused_total", "reason", string(why))
}

// browser is one: it keeps cookies, follows redirects, and says what it is about.
type browser struct {
	t   *testing.T
	jar http.CookieJar
	// header is what each request has beside.
	header http.Header
	// trail are the addresses that it was led to since the last go.
	trail     []*url.URL
	transport http.RoundTripper
	// stop ends the way before this path.
	stop string
}

type answer struct {
	status int
	header http.Header
	text   string
}

func newBrowser(t *testing.T, d *testDesk) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, jar: jar, transport: d.Client().Transport, header: http.Header{
		"Accept": {"text/html,application/xhtml+xml"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"none"},
	}}
}

func (b *browser) get(target string) answer { return b.do(http.MethodGet, target, nil) }

func (b *browser) do(method, target string, form url.Values, headers ...string) answer {
	b.t.Helper()
	b.trail = nil
	client := &http.Client{Transport: b.transport, Jar: b.jar, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		b.trail = append(b.trail, req.URL)
		if b.stop != "" && req.URL.Path == b.stop || len(via) > 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	req, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = b.header.Clone()
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for pair := range slices.Chunk(headers, 2) {
		if pair[1] == "" {
			req.Header.Del(pair[0])
		} else {
			req.Header.Set(pair[0], pair[1])
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// last is where the browser was led at the end.
func (b *browser) last() *url.URL {
	b.t.Helper()
	if len(b.trail) == 0 {
		b.t.Fatal("the browser was led nowhere")
	}
	return b.trail[len(b.trail)-1]
}

func (b *browser) cookies(d *testDesk) []*http.Cookie {
	u, err := url.Parse(d.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.jar.Cookies(u)
}

func (b *browser) setCookie(d *testDesk, name, value string) {
	u, err := url.Parse(d.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: u.Scheme == "https"}})
}

func (a answer) says(t *testing.T, status int, text string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.text, text) {
		t.Errorf("answered %d %q, want %d and %q in it", a.status, a.text, status, text)
	}
}

// metricsText is what /metrics says.
func (d *testDesk) metricsText() string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
