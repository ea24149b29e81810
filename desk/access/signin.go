package access

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/internal/ratelimit"
)

const (
	// maxBegun is how many sign-ins a browser may have begun at once: the pages that are
	// open when a session ends begin one each. Their cookies and a session are less than
	// 8 KiB, which is what nginx takes of one header.
	maxBegun = 5
	// signInLasts is how long somebody may take at the provider.
	signInLasts = 10 * time.Minute
	// maxReturn bounds where a sign-in leads back to.
	maxReturn = 300
)

// Attempts of one client, and of all of them. A sign-in takes two: to begin, and the way
// back. All are bounded since each calls the provider, who may lock the desk out.
var attemptsOfOne = ratelimit.Limits{Burst: 40, Refill: time.Second, Clients: 10_000}

const (
	attemptsPerSecond = 20 // in all
	attemptsAtOnce    = 200
	secondsToWait     = "10"
)

// signedOutCookie is there until the next sign-in.
const signedOutCookie = "signed-out"

// begun is a sign-in on its way, kept in the browser that began it.
type begun struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Return   string `json:"return"`
	Until    int64  `json:"until"`
}

const begunKind = "sign-in"

// begunCookie has a name for each sign-in, so that one does not disturb another.
func begunCookie(state string) string { return begunKind + "-" + state[:min(8, len(state))] }

// signIn lets those in who have a session, and gives one to those whom the provider
// vouches for.
type signIn struct {
	*Access
	cookies
	provider *provider
	roles    roles
	lifetime time.Duration
	endings  *endings

	address clientip.Proxies
	ofOne   *ratelimit.Limiter[netip.Addr]
	inAll   *rate.Limiter
}

func newSignIn(a *Access, cfg Config) *signIn {
	return &signIn{
		Access:   a,
		cookies:  cookies{keys: cfg.SessionKeys, desk: cfg.OIDC.Issuer + "\x00" + cfg.OIDC.ClientID, secure: strings.HasPrefix(a.origin, "https://")},
		provider: newProvider(a, *cfg.OIDC),
		roles:    newRoles(cfg.Roles),
		lifetime: cfg.SessionLifetime,
		endings:  newEndings(),
		address:  cfg.ClientAddress,
		ofOne:    ratelimit.New[netip.Addr](attemptsOfOne),
		inAll:    rate.NewLimiter(attemptsPerSecond, attemptsAtOnce),
	}
}

func (s *signIn) enter(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch {
	case r.URL.Path == signInPath:
		s.only(w, r, s.begin, http.MethodGet)
	case r.URL.Path == callbackPath:
		s.only(w, r, s.callback, http.MethodGet)
	case r.URL.Path == signOutPath:
		s.only(w, r, s.signOut, http.MethodGet, http.MethodPost)
	case isStatic(r):
		w.Header().Del("Cache-Control")
		next.ServeHTTP(w, r)
	default:
		c, ok := s.current(r)
		if !ok {
			s.ask(w, r)
			return
		}
		ctx, end := s.endings.begin(r.Context(), c.key)
		defer end()
		s.pass(w, r.WithContext(ctx), next, c.user, c.lasts)
	}
}

func (s *signIn) only(w http.ResponseWriter, r *http.Request, handle http.HandlerFunc, methods ...string) {
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		s.show(w, r, Page{Status: http.StatusMethodNotAllowed, Title: "Not possible", Text: "This address answers only to " + strings.Join(methods, " and ") + "."})
		return
	}
	handle(w, r)
}

// current is a session that is valid, and how long it lasts.
type current struct {
	key   string
	user  User
	lasts time.Duration
}

// current returns the session of a request. One of somebody whose groups stand for nothing
// any more is none, and neither is one that was ended.
func (s *signIn) current(r *http.Request) (current, bool) {
	var kept session
	if !s.read(r, sessionCookie, sessionCookie, &kept) || kept.Key == "" || s.endings.has(kept.Key) {
		return current{}, false
	}
	lasts := time.Unix(kept.Until, 0).Sub(s.now())
	grants := s.roles.grants(kept.Groups)
	// A lifetime that was shortened holds for all. Another desk may have begun the session,
	// by its own clock.
	if lasts <= 0 || lasts > s.lifetime+clockSkew || len(grants) == 0 {
		return current{}, false
	}
	return current{kept.Key, User{ID: kept.ID, Name: kept.Name, Grants: grants}, lasts}, true
}

// ask leads somebody who opens a page to the provider and back to it. What else is asked
// for, or sent, is refused in words: a script that is led there sees nothing but an error.
func (s *signIn) ask(w http.ResponseWriter, r *http.Request) {
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && readsPages(r) {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, signInPath+"?"+url.Values{"return": {back(r.URL.RequestURI())}}.Encode(), http.StatusSeeOther)
		return
	}
	s.refuse(w, r, expired, Page{Status: http.StatusUnauthorized, Title: "Not signed in",
		Text: "Your session has ended, and nothing was done. Sign in again.", Link: signInPath, Label: "Sign in"})
}

// back returns where somebody is led after a sign-in: a path of the desk itself, and "/"
// for anything that a browser may take for another address.
func back(to string) string {
	u, err := url.Parse(to)
	if err != nil || len(to) > maxReturn || u.Scheme != "" || u.Host != "" ||
		!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) || strings.IndexFunc(to, notPrinted) >= 0 {
		return "/"
	}
	if slices.Contains([]string{signInPath, callbackPath, signOutPath}, path.Clean(u.Path)) {
		return "/"
	}
	return to
}

// begin sends somebody to the provider.
func (s *signIn) begin(w http.ResponseWriter, r *http.Request) {
	to := back(r.URL.Query().Get("return"))
	if _, ok := s.current(r); ok {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	if s.tooMany(w, r) {
		return
	}
	k, err := s.provider.find(r.Context())
	if err != nil {
		s.away(w, r)
		return
	}
	b := begun{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Return: to, Until: s.now().Add(signInLasts).Unix()}
	sealed, err := s.seal(begunKind, b)
	if err != nil {
		s.fail(w, r, failed, err, ownFailure)
		return
	}
	s.clearBegun(w, r)
	s.set(w, begunCookie(b.State), sealed, signInLasts)
	options := []oauth2.AuthCodeOption{oidc.Nonce(b.Nonce), oauth2.S256ChallengeOption(b.Verifier)}
	if len(r.CookiesNamed(s.name(signedOutCookie))) > 0 {
		// The provider would let the next person in as the one who has signed out.
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	http.Redirect(w, r, k.oauth2.AuthCodeURL(b.State, options...), http.StatusSeeOther)
}

// clearBegun makes room in a browser that has begun too many sign-ins: the server refuses
// headers that are too large, and so all pages.
func (s *signIn) clearBegun(w http.ResponseWriter, r *http.Request) {
	var names []string
	prefix := s.name(begunKind + "-")
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, prefix) && len(c.Name) == len(prefix)+8 {
			names = append(names, strings.TrimPrefix(c.Name, prefix))
		}
	}
	if len(names) < maxBegun {
		return
	}
	for _, name := range names {
		s.clear(w, begunKind+"-"+name)
	}
}

// signOut ends the session, whoever has a copy of it, and has the browser forget it. Here
// it has ended at once; other desks, and this one after a restart, learn it from a record.
func (s *signIn) signOut(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if c, ok := s.current(r); ok {
			s.end(c.key)
			if s.SignedOut != nil {
				s.SignedOut(r.Context(), c.user, c.key)
			}
		}
		s.clear(w, sessionCookie)
		s.set(w, signedOutCookie, "1", s.lifetime)
		http.Redirect(w, r, signOutPath, http.StatusSeeOther)
		return
	}
	if _, ok := s.current(r); ok {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.show(w, r, Page{Status: http.StatusOK, Title: "Signed out", Link: signInPath, Label: "Sign in",
		Text: "You are signed out of the desk. You may still be signed in to the provider, and to what else uses it."})
}

// end ends a session for as long as any that has begun may last.
func (s *signIn) end(key string) {
	s.endings.end(key, s.now(), s.now().Add(s.lifetime+clockSkew))
}

// tooMany counts an attempt, and answers one that is too many.
func (s *signIn) tooMany(w http.ResponseWriter, r *http.Request) bool {
	client := s.address.Address(r.RemoteAddr, r.Header)
	if s.ofOne.Allow(clientip.Client(client), s.now()) && s.inAll.AllowN(s.now(), 1) {
		return false
	}
	s.count(limited)
	s.warn(r.Context(), "too many sign-ins were attempted", "", slog.String("network", clientip.Network(client)))
	w.Header().Set("Retry-After", secondsToWait)
	s.show(w, r, Page{Status: http.StatusTooManyRequests, Title: "Too many attempts", Link: signInPath, Label: "Try again",
		Text: "There were too many attempts to sign in. Wait ten seconds, and try again."})
	return true
}

// away says that the provider cannot be used now. The page tries again by itself, also
// without a script.
func (s *signIn) away(w http.ResponseWriter, r *http.Request) {
	s.count(unavailable)
	again := signInPath
	if r.URL.Path == signInPath {
		again += "?" + url.Values{"return": {back(r.URL.Query().Get("return"))}}.Encode()
	}
	w.Header().Set("Retry-After", secondsToWait)
	w.Header().Set("Refresh", secondsToWait+"; url="+again)
	s.show(w, r, Page{Status: http.StatusServiceUnavailable, Title: "Sign-in is not possible now", Link: again, Label: "Try again",
		Text: "The OpenID provider that people sign in with does not answer as it should. This page tries again every ten seconds. People who are signed in already are not affected."})
}

// fail answers a sign-in that failed, and says why in the log.
func (s *signIn) fail(w http.ResponseWriter, r *http.Request, how result, err error, p Page) {
	s.count(how)
	s.warn(r.Context(), "a sign-in failed", string(how), slog.String("result", string(how)), slog.String("error", err.Error()))
	s.show(w, r, p)
}

func (s *signIn) count(r result) { s.metrics.signIns.WithLabelValues(string(r)).Inc() }

var (
	notSignedIn = Page{Status: http.StatusForbidden, Title: "Not signed in", Link: signInPath, Label: "Try again",
		Text: "The OpenID provider did not sign you in, or its answer is not valid. If this happens again, ask the administrator of Sine Relay to look at the log of the desk."}
	ownFailure = Page{Status: http.StatusInternalServerError, Title: "Not signed in", Link: signInPath, Label: "Try again",
		Text: "The desk could not keep your sign-in. Ask the administrator of Sine Relay to look at its log."}
)
