package access

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestNew_RefusesWhatWouldNotBeSafe(t *testing.T) {
	withOIDC := func(change func(*OIDC)) Config {
		o := OIDC{Issuer: "https://login.example.com", ClientID: "desk", ClientSecret: func() string { return "secret" }, RedirectURL: "https://desk.example.com/callback"}
		change(&o)
		return Config{OIDC: &o, Roles: atHQ}
	}
	withProxy := func(change func(*Proxy)) Config {
		p := Proxy{UserHeader: "X-Auth-User", GroupsHeader: "X-Auth-Groups", Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
		change(&p)
		return Config{Proxy: &p, Roles: atHQ}
	}
	withRole := func(m Mapping) Config {
		c := withProxy(func(*Proxy) {})
		c.Roles = []Mapping{m}
		return c
	}
	both := withProxy(func(*Proxy) {})
	both.Loopback = true
	noRoles := withProxy(func(*Proxy) {})
	noRoles.Roles = nil
	tests := []struct {
		name string
		cfg  Config
		want string // nothing: it is right
	}{
		{"a provider", withOIDC(func(*OIDC) {}), ""},
		{"a provider on this machine", withOIDC(func(o *OIDC) { o.Issuer, o.RedirectURL = "http://127.0.0.1:5556/dex", "http://localhost:8081/callback" }), ""},
		{"a proxy", withProxy(func(p *Proxy) { p.Origin = "https://desk.example.com" }), ""},
		{"loopback", Config{Loopback: true}, ""},
		{"nothing", Config{}, "exactly one of the three"},
		{"two ways", both, "exactly one of the three"},
		{"an issuer by http", withOIDC(func(o *OIDC) { o.Issuer = "http://login.example.com" }), "the issuer must be"},
		{"an issuer that only looks like this machine", withOIDC(func(o *OIDC) { o.Issuer = "http://localhost.example.com" }), "the issuer must be"},
		{"an issuer with a password", withOIDC(func(o *OIDC) { o.Issuer = "https://user:ZmarkSecret@login.example.com" }), "the issuer must be"},
		{"an issuer that cannot be read", withOIDC(func(o *OIDC) { o.Issuer = "https://[" }), "the issuer must be"},
		{"an issuer without a host", withOIDC(func(o *OIDC) { o.Issuer = "https://:443" }), "the issuer must be"},
		{"no issuer", withOIDC(func(o *OIDC) { o.Issuer = "" }), "the issuer must be"},
		{"no client", withOIDC(func(o *OIDC) { o.ClientID = "" }), "an id and a secret"},
		{"no secret", withOIDC(func(o *OIDC) { o.ClientSecret = nil }), "an id and a secret"},
		{"a desk by http", withOIDC(func(o *OIDC) { o.RedirectURL = "http://desk.example.com/callback" }), "the redirect URL must be"},
		{"another callback", withOIDC(func(o *OIDC) { o.RedirectURL = "https://desk.example.com/" }), "the redirect URL must be"},
		{"a callback below a path", withOIDC(func(o *OIDC) { o.RedirectURL = "https://example.com/desk/callback" }), "the redirect URL must be"},
		{"a callback that is written otherwise", withOIDC(func(o *OIDC) { o.RedirectURL = "https://desk.example.com/%63allback" }), "the redirect URL must be"},
		{"a desk with capitals and a port", withOIDC(func(o *OIDC) { o.RedirectURL = "https://Desk.example.com:443/callback" }), ""},
		{"a proxy without a user", withProxy(func(p *Proxy) { p.UserHeader = "" }), "not the name of a header"},
		{"a header with an underscore", withProxy(func(p *Proxy) { p.UserHeader = "X_Auth_User" }), "not the name of a header"},
		{"one header for both", withProxy(func(p *Proxy) { p.GroupsHeader = "x-auth-user" }), "a header each"},
		{"a proxy from nowhere", withProxy(func(p *Proxy) { p.Trusted = nil }), "no address is trusted"},
		{"a proxy from everywhere", withProxy(func(p *Proxy) { p.Trusted = append(p.Trusted, netip.MustParsePrefix("::/0")) }), "trusts everybody"},
		{"an origin with a path", withProxy(func(p *Proxy) { p.Origin = "https://desk.example.com/" }), "the origin must be"},
		{"an origin that no browser writes so", withProxy(func(p *Proxy) { p.Origin = "https://Desk.example.com:443" }), "the origin must be"},
		{"an origin of another scheme", withProxy(func(p *Proxy) { p.Origin = "ftp://desk.example.com" }), "the origin must be"},
		{"an origin without a host", withProxy(func(p *Proxy) { p.Origin = "https://" }), "the origin must be"},
		{"no roles", noRoles, "nobody could do anything"},
		{"a role for nobody", withRole(Mapping{Role: Viewer, Sites: []string{"hq"}}), "a group without a name"},
		{"a role that does not exist", withRole(Mapping{Group: "ops", Role: "Operator", Sites: []string{"hq"}}), "write viewer, reception or operator"},
		{"a role at no site", withRole(Mapping{Group: "ops", Role: Operator}), "no sites"},
		{"a role at a site that cannot be", withRole(Mapping{Group: "ops", Role: Operator, Sites: []string{"hq,lab"}}), "not the name of a site"},
		{"a role everywhere", withRole(Mapping{Group: "ops", Role: Operator, Sites: []string{visit.AllSites}}), ""},
		{"a short key", Config{Loopback: true, SessionKeys: func() [][]byte { return [][]byte{[]byte("ZmarkSecret")} }}, "at least 32 bytes"},
		{"sessions of seconds", Config{Loopback: true, SessionLifetime: time.Second}, "too short"},
	}
	for _, test := range tests {
		_, err := New(t.Context(), test.cfg)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "Zmark")):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
