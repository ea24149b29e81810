package access

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// signedInBrowser is Anna's.
func signedInBrowser(t *testing.T, d *testDesk, p *testProvider) (b *browser, cookie string) {
	t.Helper()
	p.QueueUser(anna())
	b = newBrowser(t, d)
	b.get(d.URL+"/").says(t, http.StatusOK, asAnna)
	for _, c := range b.cookies(d) {
		if strings.HasSuffix(c.Name, "sine-relay-session") {
			return b, c.Value
		}
	}
	t.Fatal("there is no session")
	return nil, ""
}

// isSignedOut reports whether a page is not shown but leads to the provider.
func isSignedOut(d *testDesk, b *browser) bool {
	b.stop = mockoidc.AuthorizationEndpoint
	b.get(d.URL + "/")
	return len(b.trail) > 0 && b.last().Path == mockoidc.AuthorizationEndpoint
}

func TestSession_CookiesHaveTheFlagsOfTheirScheme(t *testing.T) {
	for _, test := range []struct {
		name  string
		start func(http.Handler) *httptest.Server
		want  string
	}{
		{"http", httptest.NewServer, "sine-relay-%s=VALUE; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax"},
		{"https", httptest.NewTLSServer, "__Host-sine-relay-%s=VALUE; Path=/; Max-Age=%d; HttpOnly; Secure; SameSite=Lax"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startProvider(t)
			p.QueueUser(anna())
			d := startDesk(t, p.config(), test.start)
			b := newBrowser(t, d)
			written := recordCookies(b)
			b.get(d.URL+"/").says(t, http.StatusOK, asAnna)
			b.do(http.MethodPost, d.URL+"/sign-out", nil, "Sec-Fetch-Site", "same-origin").says(t, http.StatusOK, "You are signed out")
			if len(*written) != 5 {
				t.Fatalf("cookies: %q", *written)
			}
			begun, _, _ := strings.Cut(strings.TrimPrefix((*written)[0], "__Host-"), "=")
			begun = strings.TrimPrefix(begun, "sine-relay-")
			for i, want := range []string{
				fmt.Sprintf(test.want, begun, 600), fmt.Sprintf(test.want, begun, 0), fmt.Sprintf(test.want, "session", 8*3600),
				fmt.Sprintf(test.want, "session", 0), fmt.Sprintf(test.want, "signed-out", 8*3600),
			} {
				head, tail, _ := strings.Cut((*written)[i], "=")
				_, tail, _ = strings.Cut(tail, ";")
				if got := head + "=VALUE;" + tail; got != want {
					t.Errorf("cookie %d is\n%s, want\n%s", i, got, want)
				}
			}
		})
	}
}

// recorder keeps what a server has a browser keep.
type recorder struct {
	http.RoundTripper
	cookies *[]string
}

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(req)
	if err == nil {
		*r.cookies = append(*r.cookies, resp.Header.Values("Set-Cookie")...)
	}
	return resp, err
}

func recordCookies(b *browser) *[]string {
	r := recorder{b.transport, &[]string{}}
	b.transport = r
	return r.cookies
}

func TestSession_IsNotReadOrMadeByOthers(t *testing.T) {
	d, p := withProvider(t)
	b, cookie := signedInBrowser(t, d, p)
	raw, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"u-17", "anna", "reception-hq", "until"} {
		if bytes.Contains(raw, []byte(secret)) || strings.Contains(cookie, secret) {
			t.Errorf("the cookie says %s", secret)
		}
	}
	var wrong []string
	for i := range raw { // each byte: nonce, text, tag
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		wrong = append(wrong, base64.RawURLEncoding.EncodeToString(changed))
	}
	wrong = append(wrong, cookie[:len(cookie)-4], cookie+"AAAA", cookie+"=", "", "-", "e30", base64.RawURLEncoding.EncodeToString([]byte(`{"id":"u-17"}`)))
	stranger := newBrowser(t, d)
	for _, value := range wrong {
		r := httptest.NewRequest(http.MethodGet, d.URL+"/", nil)
		r.AddCookie(&http.Cookie{Name: "sine-relay-session", Value: value})
		if _, ok := d.access.signIn.current(r); ok {
			t.Errorf("%q is a session", value)
		}
	}
	stranger.setCookie(d, "sine-relay-session", cookie[:len(cookie)-1]+"-")
	if !isSignedOut(d, stranger) {
		t.Error("a changed cookie is a session")
	}
	b.get(d.URL+"/").says(t, http.StatusOK, asAnna)
}

// What the desk itself encrypted for another purpose does not count as a session, either.
func TestSession_IsOfOneKindOfOneDesk(t *testing.T) {
	key := bytes.Repeat([]byte("k"), minKey)
	keys := func() [][]byte { return [][]byte{key} }
	d, p := withProvider(t, func(c *Config) { c.SessionKeys = keys })
	_, cookie := signedInBrowser(t, d, p)
	var s session
	own := d.access.signIn.cookies
	if !own.open(sessionCookie, cookie, &s) || own.open(begunKind, cookie, &s) {
		t.Error("a cookie opens as another kind")
	}
	// A desk for tries has the key of the true one, and operators of its own.
	other := startProvider(t)
	cfg := other.config()
	cfg.SessionKeys = keys
	elsewhere := startDesk(t, cfg, httptest.NewServer)
	thief := newBrowser(t, elsewhere)
	thief.setCookie(elsewhere, "sine-relay-session", cookie)
	if !isSignedOut(elsewhere, thief) {
		t.Error("a session of a desk with another provider is one here")
	}
}

// By https the prefix is what keeps other hosts of the domain from setting a cookie here:
// one without it does not count.
func TestSession_IsNotReadFromACookieThatOthersCouldSet(t *testing.T) {
	p := startProvider(t)
	d := startDesk(t, p.config(), httptest.NewTLSServer)
	_, cookie := signedInBrowser(t, d, p)
	b := newBrowser(t, d)
	b.setCookie(d, "sine-relay-session", cookie)
	if !isSignedOut(d, b) {
		t.Error("a cookie without the prefix is a session")
	}
}

func TestSession_KeysAreReplacedOneByOne(t *testing.T) {
	first, second := bytes.Repeat([]byte("1"), minKey), bytes.Repeat([]byte("2"), minKey)
	keys := [][]byte{first}
	d, p := withProvider(t, func(c *Config) { c.SessionKeys = func() [][]byte { return keys } })
	b, _ := signedInBrowser(t, d, p)
	keys = [][]byte{second, first}
	b.get(d.URL+"/").says(t, http.StatusOK, asAnna)
	later, _ := signedInBrowser(t, d, p)
	keys = [][]byte{second}
	if !isSignedOut(d, b) {
		t.Error("a key that was taken away opens a session")
	}
	later.get(d.URL+"/").says(t, http.StatusOK, asAnna)
	keys = [][]byte{second[:minKey-1]}
	b.stop = ""
	b.get(d.URL+"/").says(t, http.StatusInternalServerError, "could not keep your sign-in")
	if d.signIns(failed) != 1 || !strings.Contains(d.log.String(), "no session key") {
		t.Errorf("the log says %s", d.log)
	}
}

func TestSession_EndsAndSaysSo(t *testing.T) {
	d, p := withProvider(t)
	b, _ := signedInBrowser(t, d, p)
	d.later.Store(int64(8*time.Hour - time.Minute))
	b.get(d.URL+"/").says(t, http.StatusOK, asAnna)
	d.later.Store(int64(8*time.Hour + time.Second))

	const words = "Your session has ended, and nothing was done. Sign in again."
	origin := []string{"Sec-Fetch-Site", "same-origin"}
	for name, got := range map[string]answer{
		"a stream":                     b.do(http.MethodGet, d.URL+"/events", nil, append(origin, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/event-stream")...),
		"a stream of an older browser": b.do(http.MethodGet, d.URL+"/events", nil, "Sec-Fetch-Mode", "", "Sec-Fetch-Site", "", "Accept", "text/event-stream"),
		"a script":                     b.do(http.MethodGet, d.URL+"/live", nil, append(origin, "Sec-Fetch-Mode", "cors", "Accept", "text/html")...),
		"a form":                       b.do(http.MethodPost, d.URL+"/orders", url.Values{"site": {"hq"}}, origin...),
		"a command":                    b.do(http.MethodGet, d.URL+"/decisions.csv", nil, "Sec-Fetch-Mode", "", "Sec-Fetch-Site", "", "Accept", "*/*"),
	} {
		if got.status != http.StatusUnauthorized || !strings.Contains(got.text, words) {
			t.Errorf("%s: %d %q", name, got.status, got.text)
		}
	}
	if d.refused(expired) != 5 {
		t.Errorf("%v are counted", d.refused(expired))
	}
	p.FastForward(8 * time.Hour)
	p.QueueUser(anna())
	b.get(d.URL+"/orders?site=hq").says(t, http.StatusOK, "GET /orders?site=hq: "+asAnna)
}

// A stream that somebody opened ends with the session, and not when they close the page.
func TestSession_EndsStreamsToo(t *testing.T) {
	d, p := withProvider(t)
	_, cookie := signedInBrowser(t, d, p)
	d.later.Store(int64(8*time.Hour - 1500*time.Millisecond))
	r := httptest.NewRequest(http.MethodGet, d.URL+"/events", nil)
	r.AddCookie(&http.Cookie{Name: "sine-relay-session", Value: cookie})
	ended := false
	d.access.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			ended = UserOf(r.Context()).ID == "u-17"
		case <-time.After(wait.Limit):
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if !ended {
		t.Error("the stream goes on")
	}
}

// The mappings are those of now; what a session has is of whom the provider vouched for.
func TestSession_HasTheRolesThatGroupsHaveNow(t *testing.T) {
	key := func() [][]byte { return [][]byte{bytes.Repeat([]byte("k"), minKey)} }
	d, p := withProvider(t, func(c *Config) { c.SessionKeys = key })
	b, _ := signedInBrowser(t, d, p)
	for _, test := range []struct {
		roles []Mapping
		want  string
	}{
		{[]Mapping{{Group: "reception-hq", Role: Viewer, Sites: []string{"lab"}}}, `u-17 is "anna" (viewer at lab)`},
		{[]Mapping{{Group: "choir", Role: Operator, Sites: []string{visit.AllSites}}, {Group: "watchers", Role: Viewer, Sites: []string{"hq"}}}, `u-17 is "anna" (viewer at hq)`},
		{[]Mapping{{Group: "choir", Role: Operator, Sites: []string{visit.AllSites}}}, ""},
	} {
		d.access.signIn.roles = newRoles(test.roles)
		if test.want == "" {
			if !isSignedOut(d, b) {
				t.Error("a session without any role goes on")
			}
			return
		}
		b.get(d.URL+"/").says(t, http.StatusOK, test.want)
	}
}

func TestSession_IsShortenedWithItsLifetime(t *testing.T) {
	d, p := withProvider(t)
	b, _ := signedInBrowser(t, d, p)
	d.access.signIn.lifetime = time.Hour
	if !isSignedOut(d, b) {
		t.Error("a session lasts longer than sessions may")
	}
}

// Two desks behind one address have a clock each.
func TestSession_OfADeskWhoseClockIsAheadIsOne(t *testing.T) {
	d, p := withProvider(t)
	d.later.Store(int64(30 * time.Second))
	b, _ := signedInBrowser(t, d, p)
	d.later.Store(0)
	b.get(d.URL+"/").says(t, http.StatusOK, asAnna)
}

func TestSession_FitsACookieOrThereIsNone(t *testing.T) {
	var many []Mapping
	var groups []string
	for i := range 300 {
		groups = append(groups, fmt.Sprintf("cn=%s-%d", strings.Repeat("group", 20), i))
		many = append(many, Mapping{Group: groups[i], Role: Viewer, Sites: []string{"hq"}})
	}
	for _, n := range []int{80, 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			d, p := withProvider(t, func(c *Config) { c.Roles = many[:n] })
			p.QueueUser(&mockoidc.MockUser{Subject: strings.Repeat("s", 255), PreferredUsername: strings.Repeat("ä", 500), Groups: groups})
			b := newBrowser(t, d)
			got := b.get(d.URL + "/")
			if n == 300 {
				got.says(t, http.StatusInternalServerError, "could not keep your sign-in")
				return
			}
			got.says(t, http.StatusOK, `"`+strings.Repeat("ä", 100)+`" (viewer at hq`)
		})
	}
}

func TestSignOut_EndsTheSessionOfThisBrowser(t *testing.T) {
	d, p := withProvider(t)
	b, _ := signedInBrowser(t, d, p)
	b.get(d.URL+"/sign-out").says(t, http.StatusOK, "GET /: "+asAnna) // a link changes nothing
	got := b.do(http.MethodPost, d.URL+"/sign-out", url.Values{}, "Sec-Fetch-Site", "same-origin")
	got.says(t, http.StatusOK, "You are signed out of the desk")
	b.stop = mockoidc.AuthorizationEndpoint
	b.get(d.URL + "/")
	// At a desk that people share, the next one is not to be who was there before.
	if b.last().Query().Get("prompt") != "login" {
		t.Error("the provider is not asked to have somebody sign in")
	}
	b.stop = ""
	p.QueueUser(anna())
	b.get(d.URL+"/").says(t, http.StatusOK, asAnna)
	b.setCookie(d, "sine-relay-session", "-")
	b.stop = mockoidc.AuthorizationEndpoint
	b.get(d.URL + "/")
	if b.last().Query().Get("prompt") != "" {
		t.Error("a session that ended by itself asks for a password again")
	}
}

var errNotJSON = errors.New("not for JSON")

type notJSON struct{}

func (notJSON) MarshalJSON() ([]byte, error) { return nil, errNotJSON }

func TestCookies_SealReturnsTheErrorOfTheValue(t *testing.T) {
	c := cookies{keys: func() [][]byte { return [][]byte{make([]byte, minKey)} }}
	if _, err := c.seal("kind", notJSON{}); !errors.Is(err, errNotJSON) {
		t.Error(err)
	}
}

// A cookie of that name may be there several times, set by whoever may set cookies.
func TestCookies_AreFoundBesideOthersOfTheName(t *testing.T) {
	c := cookies{keys: func() [][]byte { return [][]byte{make([]byte, minKey)} }}
	sealed, err := c.seal("kind", session{ID: "u-17"})
	if err != nil {
		t.Fatal(err)
	}
	for before, want := range map[int]bool{0: true, maxTries - 1: true, maxTries: false} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for range before {
			r.AddCookie(&http.Cookie{Name: c.name("x"), Value: "other"})
		}
		r.AddCookie(&http.Cookie{Name: c.name("x"), Value: sealed})
		var s session
		if got := c.read(r, "x", "kind", &s); got != want {
			t.Errorf("after %d others: %v", before, got)
		}
	}
}
