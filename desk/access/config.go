package access

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/visit"
)

// Config says how people prove who they are, and what they may do then. One of OIDC,
// Proxy and Loopback is set.
type Config struct {
	OIDC  *OIDC
	Proxy *Proxy
	// Loopback makes everybody [Local]. It is for a listener on a loopback address:
	// whoever is on this machine may do everything, and nobody else anything.
	Loopback bool

	// Roles are what the groups of a provider or proxy stand for.
	Roles []Mapping

	// SessionKeys returns the secrets that sessions are encrypted with, at least 32
	// random bytes each. The first one makes sessions, and each of them reads them, so
	// that a key can be replaced. It is called for each request. Nil is one random key:
	// then sessions end with the process, and a second desk does not know them.
	SessionKeys func() [][]byte
	// SessionLifetime is how long after signing in somebody must sign in again, 8
	// hours if 0. For so long somebody keeps a group that the provider took away.
	SessionLifetime time.Duration

	// ClientAddress says which proxies are believed about where a sign-in comes from.
	// Behind one that is not among them, all people share the attempts of one.
	ClientAddress clientip.Proxies

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // nil: time.Now
}

// OIDC is an OpenID provider, and what it knows the desk as.
type OIDC struct {
	// Issuer is the provider's URL, exactly as in its tokens.
	Issuer   string
	ClientID string
	// ClientSecret returns the secret of the client. It is called for each sign-in.
	ClientSecret func() string
	// RedirectURL is the address of the desk for people, with the path /callback.
	// Without https it must be one of this machine.
	RedirectURL string
	// Scopes are asked for beside openid: nil is profile. Some providers have a groups
	// claim only with a scope for it, and others refuse a scope that they do not know.
	Scopes []string
	// GroupsClaim and NameClaim are where the ID token has the groups and the name:
	// groups and name where empty.
	GroupsClaim, NameClaim string
	// RootCAs are who is believed about the provider's certificate; nil is those of
	// the system.
	RootCAs *x509.CertPool
}

// Proxy is one before the desk that knows who people are.
type Proxy struct {
	// UserHeader and GroupsHeader are where it writes that. It must remove what others
	// wrote there, and not add to it.
	UserHeader, GroupsHeader string
	// Separator stands between groups, a comma if empty. Whoever may name a group can
	// be in every one if it is allowed in names.
	Separator string
	// Trusted is where it connects from. Whoever else connects from there can claim to
	// be anybody; from elsewhere nobody gets in.
	Trusted []netip.Prefix
	// Origin is the desk's address for people, as https://desk.example.com, for a proxy
	// that changes the header Host.
	Origin string
}

// Mapping gives the people in a group a role at sites, or everywhere with
// [visit.AllSites].
type Mapping struct {
	Group string
	Role  Role
	Sites []string
}

// minKey is the least length of a session key in bytes.
const minKey = 32

const callbackPath, signInPath, signOutPath = "/callback", "/sign-in", "/sign-out"

func (c Config) withDefaults() Config {
	if c.SessionLifetime == 0 {
		c.SessionLifetime = 8 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.SessionKeys == nil {
		key := make([]byte, minKey)
		rand.Read(key)
		c.SessionKeys = func() [][]byte { return [][]byte{key} }
	}
	if c.OIDC != nil {
		o := *c.OIDC
		o.GroupsClaim, o.NameClaim = orElse(o.GroupsClaim, "groups"), orElse(o.NameClaim, "name")
		if o.Scopes == nil {
			o.Scopes = []string{"profile"}
		}
		c.OIDC = &o
	}
	if c.Proxy != nil {
		p := *c.Proxy
		p.Separator = orElse(p.Separator, ",")
		c.Proxy = &p
	}
	return c
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (c Config) validate() error {
	ways := 0
	for _, is := range []bool{c.OIDC != nil, c.Proxy != nil, c.Loopback} {
		if is {
			ways++
		}
	}
	problems := []error{}
	if ways != 1 {
		problems = append(problems, errors.New("people sign in with an OpenID provider, or with a trusted proxy, or the desk listens on loopback: exactly one of the three is to be configured"))
	}
	if c.SessionLifetime < time.Minute {
		problems = append(problems, fmt.Errorf("sessions of %s are too short: write a minute or more", c.SessionLifetime))
	}
	if len(usable(c.SessionKeys())) == 0 {
		problems = append(problems, fmt.Errorf("a session key has at least %d bytes: make one with `openssl rand -base64 48`", minKey))
	}
	if c.OIDC != nil {
		problems = append(problems, c.OIDC.validate()...)
	}
	if c.Proxy != nil {
		problems = append(problems, c.Proxy.validate()...)
	}
	if !c.Loopback && len(c.Roles) == 0 {
		problems = append(problems, errors.New("no group has a role, so that nobody could do anything"))
	}
	for _, m := range c.Roles {
		problems = append(problems, m.validate())
	}
	return errors.Join(problems...)
}

func (m Mapping) validate() error {
	switch {
	case m.Group == "":
		return errors.New("a group without a name has a role")
	case !slices.Contains(Roles, m.Role):
		return fmt.Errorf("group %q: %q is not a role; write viewer, reception or operator", m.Group, m.Role)
	case len(m.Sites) == 0:
		return fmt.Errorf("group %q: no sites; write their names, or %q for all of them", m.Group, visit.AllSites)
	}
	for _, site := range m.Sites {
		if site != visit.AllSites && !visit.ValidName(site) {
			return fmt.Errorf("group %q: %q is not the name of a site, which matches %s", m.Group, site, visit.NamePattern)
		}
	}
	return nil
}

func (o OIDC) validate() (problems []error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil || !isSafe(issuer) || issuer.RawQuery != "" || issuer.Fragment != "" {
		problems = append(problems, errors.New("the issuer must be the URL of the provider, beginning with https:// unless it is on this machine, without user, query and fragment"))
	}
	if o.ClientID == "" || o.ClientSecret == nil {
		problems = append(problems, errors.New("the client needs an id and a secret"))
	}
	redirect, err := url.Parse(o.RedirectURL)
	if err != nil || !isSafe(redirect) || redirect.EscapedPath() != callbackPath || redirect.RawQuery != "" || redirect.Fragment != "" {
		problems = append(problems, fmt.Errorf("the redirect URL must be the desk's address for people and %s, beginning with https:// unless it is on this machine", callbackPath))
	}
	return problems
}

func (p Proxy) validate() (problems []error) {
	for _, name := range []string{p.UserHeader, p.GroupsHeader} {
		if !headerName(name) {
			problems = append(problems, fmt.Errorf("%q is not the name of a header in which a proxy says who a user is", name))
		}
	}
	if http.CanonicalHeaderKey(p.UserHeader) == http.CanonicalHeaderKey(p.GroupsHeader) {
		problems = append(problems, errors.New("user and groups need a header each"))
	}
	if len(p.Trusted) == 0 {
		problems = append(problems, errors.New("no address is trusted to be the proxy's"))
	}
	for _, prefix := range p.Trusted {
		if prefix.Bits() == 0 {
			problems = append(problems, fmt.Errorf("%s trusts everybody: write the addresses of the proxy", prefix))
		}
	}
	if p.Origin != "" {
		if u, err := url.Parse(p.Origin); err != nil || originOf(u) != p.Origin {
			problems = append(problems, errors.New("the origin must be as browsers write it: a scheme and a host, as https://desk.example.com"))
		}
	}
	return problems
}

// headerName: letters, digits and hyphens. A name with an underscore is one that many
// proxies let pass beside the one with a hyphen.
func headerName(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// isSafe reports whether nobody on the way can read or change what goes to a URL.
func isSafe(u *url.URL) bool {
	return u.User == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()))
}

// isLoopback reports whether a host, without port, is this machine by its name or
// address, and not by what somebody's name server says.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// origin is the desk's address for people where it is known.
func (c Config) origin() string {
	switch {
	case c.OIDC != nil:
		u, err := url.Parse(c.OIDC.RedirectURL)
		if err != nil {
			return ""
		}
		return originOf(u)
	case c.Proxy != nil:
		return c.Proxy.Origin
	}
	return ""
}

// originOf is what browsers call the origin of a URL of the web: in small letters, and
// without the port of its scheme.
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch {
	case u.Hostname() == "":
		return ""
	case u.Scheme == "https":
		return "https://" + strings.TrimSuffix(host, ":443")
	case u.Scheme == "http":
		return "http://" + strings.TrimSuffix(host, ":80")
	}
	return ""
}
