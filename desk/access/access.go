// Package access decides who may see and do what at the desk.
//
// People prove who they are to an OpenID provider, or to a proxy before the desk that is
// trusted; without either the desk is for the machine that it runs on alone. Groups are
// mapped to roles at sites. The package promises that a request reaches the pages only
// with the user that it is from, that nobody else's page makes a browser change anything,
// and that no name, token or id of a user gets into a log, a metric or an address.
//
// What a page shows to whom is left to the pages, which ask [UserOf] and [User.May].
package access

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/internal/logthrottle"
)

// Access is what everybody passes before a page.
type Access struct {
	// Render shows a page of this package, as the other pages look; nil shows a plain
	// one. It is set before the first request. The status and all that belongs to
	// caching are written already when it is called.
	Render func(w http.ResponseWriter, r *http.Request, p Page)
	// SignedOut is called when somebody has signed out, with the key of the session, which
	// opens nothing: whoever knows it can only [Access.End] the session. It is set before
	// the first request; nil is for a desk that is alone and remembers nothing.
	SignedOut func(ctx context.Context, u User, key string)

	origin     string // as browsers call the desk, where that is known
	protection *http.CrossOriginProtection
	signIn     *signIn // nil without a provider
	enter      func(w http.ResponseWriter, r *http.Request, next http.Handler)
	metrics    *metrics
	logger     *slog.Logger
	logged     *logthrottle.Throttle
	now        func() time.Time
}

// New returns an error for each thing that is wrong with the configuration. It does not
// wait for the provider, and does not need it: who has a session keeps it, and a sign-in
// says that the provider is away. ctx bounds only the first look for it.
func New(ctx context.Context, cfg Config) (*Access, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	a := &Access{
		origin:     cfg.origin(),
		protection: http.NewCrossOriginProtection(),
		metrics:    newMetrics(cfg.Registerer),
		logger:     cfg.Logger,
		logged:     logthrottle.New(time.Minute),
		now:        cfg.Now,
	}
	a.protection.SetDenyHandler(http.HandlerFunc(a.refuseCrossOrigin))
	if a.origin != "" {
		// A proxy may change Host, and then Origin differs from it.
		if err := a.protection.AddTrustedOrigin(a.origin); err != nil {
			return nil, err
		}
	}
	switch {
	case cfg.OIDC != nil:
		a.signIn = newSignIn(a, cfg)
		a.enter = a.signIn.enter
		go a.signIn.provider.find(ctx) // so that the log says early what is wrong with it
	case cfg.Proxy != nil:
		a.enter = proxied{a, *cfg.Proxy, newRoles(cfg.Roles)}.enter
	default:
		a.enter = a.enterLocally
	}
	return a, nil
}

// CanSignOut reports whether a POST to /sign-out ends something.
func (a *Access) CanSignOut() bool { return a.signIn != nil }

// End ends a session that was signed out at another desk, or before a restart, and all
// requests of it.
func (a *Access) End(key string) {
	if a.signIn != nil {
		a.signIn.end(key)
	}
}

// SessionLifetime is how long after a sign-in its session may be valid at most.
func (a *Access) SessionLifetime() time.Duration {
	if a.signIn == nil {
		return 0
	}
	return a.signIn.lifetime + clockSkew
}

// Handler lets a request through to next with its user in the context, see [UserOf], or
// answers it. With a provider the paths /sign-in, /callback and /sign-out are its own,
// and what is below /static/ is for everybody, without a user.
//
// The context of a request ends with the session, also that of a stream of events. What
// next writes is not to be stored by browsers and proxies, unless it says otherwise.
func (a *Access) Handler(next http.Handler) http.Handler {
	protected := a.protection.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		a.enter(w, r, next)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isEmbedded(r) {
			a.refuseCrossOrigin(w, r)
			return
		}
		protected.ServeHTTP(w, r)
	})
}

func (a *Access) refuseCrossOrigin(w http.ResponseWriter, r *http.Request) {
	a.refuse(w, r, crossOrigin, Page{Status: http.StatusForbidden, Title: "Refused",
		Text: "Another web site made your browser send this. Nothing was changed."})
}

// isEmbedded reports whether a page of another site made the browser read something,
// other than by a link. http.CrossOriginProtection leaves reading alone; but where a
// proxy or the machine itself vouches for a user, no cookie that the browser withholds
// stands between such a page and, say, an export and its record.
func isEmbedded(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
	default: // the browser's user, the desk itself, or no browser of this age
		return false
	}
}

// pass lets a user through, for no longer than that may be taken for true.
func (a *Access) pass(w http.ResponseWriter, r *http.Request, next http.Handler, u User, lasts time.Duration) {
	ctx, cancel := context.WithTimeout(WithUser(r.Context(), u), lasts)
	defer cancel()
	next.ServeHTTP(w, r.WithContext(ctx))
}

// refuse answers a request that does not get through, and counts it.
func (a *Access) refuse(w http.ResponseWriter, r *http.Request, reason refusal, p Page) {
	a.metrics.refused.WithLabelValues(string(reason)).Inc()
	a.show(w, r, p)
}

// warn logs what an operator can mend, each kind of a message once a minute at most. No
// user and no token is among the attributes, not even as a hash: a short one is soon
// guessed from a list of the staff. Who did what is in the records that the desk keeps.
func (a *Access) warn(ctx context.Context, message, kind string, attrs ...slog.Attr) {
	if n := a.logged.Due(message+kind, a.now()); n > 0 {
		a.logger.LogAttrs(ctx, slog.LevelWarn, message, append(attrs, slog.Int("times", n))...)
	}
}

// isStatic reports whether everybody may read it. A path that leads out of the folder
// again is none of it, whatever next makes of it.
func isStatic(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		strings.HasPrefix(r.URL.Path, "/static/") && path.Clean(r.URL.Path) == r.URL.Path
}
