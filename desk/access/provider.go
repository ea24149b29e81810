package access

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// providerTimeout bounds each call of the provider: somebody waits for it.
	providerTimeout = 5 * time.Second
	// retryAfter is how long a provider that is away is not looked for again.
	retryAfter = 2 * time.Second
	// clockSkew is how far the provider's clock may be from the desk's.
	clockSkew = time.Minute
	// maxReply bounds what is read of a reply.
	maxReply = 1 << 20
)

// algorithms are those with a public key. With HS256 the provider's public key, which
// everybody has, could be taken for a shared secret, and none needs no key at all.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// provider is an OpenID provider, found when it is needed.
type provider struct {
	OIDC
	client *http.Client
	now    func() time.Time
	warn   func(ctx context.Context, message, kind string, attrs ...slog.Attr)

	// turn has a place for the one who looks for the provider, and holds what follows.
	turn    chan struct{}
	known   *known
	failed  time.Time
	failure error
}

type known struct {
	verifier *oidc.IDTokenVerifier
	oauth2   oauth2.Config // without secret
}

// metadata is what go-oidc leaves to its users.
type metadata struct {
	AuthURL     string   `json:"authorization_endpoint"`
	TokenURL    string   `json:"token_endpoint"`
	KeysURL     string   `json:"jwks_uri"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
}

// person is what an ID token says of somebody.
type person struct {
	id, name string
	groups   []string
	// hasGroups is set when the claim is there.
	hasGroups bool
}

func newProvider(a *Access, o OIDC) *provider {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}
	return &provider{
		OIDC: o, now: a.now, warn: a.warn, turn: make(chan struct{}, 1),
		client: &http.Client{
			Transport: bounded{transport},
			Timeout:   providerTimeout,
			// A redirect would send code and secret to wherever it says.
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") },
		},
	}
}

// bounded reads no more than maxReply of a reply; the libraries read all.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxReply), resp.Body}
	}
	return resp, err
}

// find returns what the provider says of itself. One caller looks for it and the others
// wait; while it is away, that is not more often than every retryAfter.
func (p *provider) find(ctx context.Context) (*known, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.known != nil {
		return p.known, nil
	}
	if now := p.now(); p.failure != nil && now.Sub(p.failed) < retryAfter && !now.Before(p.failed) {
		return nil, p.failure
	}
	// Who has closed the page does not stop the search that others wait for.
	k, err := p.discover(context.WithoutCancel(ctx))
	if err != nil {
		p.failed, p.failure = p.now(), err
		p.warn(ctx, "the OpenID provider cannot be used: nobody can sign in", "", slog.String("issuer", p.Issuer), slog.String("error", shortened(err)))
		return nil, err
	}
	p.known, p.failure = k, nil
	return k, nil
}

// forget has the provider looked for again: what it said of itself may have changed.
func (p *provider) forget() {
	p.turn <- struct{}{}
	p.known = nil
	<-p.turn
}

func (p *provider) discover(ctx context.Context) (*known, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		return nil, err
	}
	var m metadata
	if err := found.Claims(&m); err != nil {
		return nil, err
	}
	for _, endpoint := range []string{m.AuthURL, m.TokenURL, m.KeysURL} {
		if u, err := url.Parse(endpoint); err != nil || !isSafe(u) {
			return nil, fmt.Errorf("the provider's endpoint %q must be a URL that begins with https://", endpoint)
		}
	}
	endpoint := oauth2.Endpoint{AuthURL: m.AuthURL, TokenURL: m.TokenURL, AuthStyle: oauth2.AuthStyleInHeader}
	if len(m.AuthMethods) > 0 && !slices.Contains(m.AuthMethods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &known{
		verifier: found.Verifier(&oidc.Config{
			ClientID: p.ClientID, SupportedSigningAlgs: algorithms,
			Now: func() time.Time { return p.now().Add(-clockSkew) },
		}),
		oauth2: oauth2.Config{
			ClientID: p.ClientID, Endpoint: endpoint, RedirectURL: p.RedirectURL,
			Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...),
		},
	}, nil
}

// redeem exchanges a code for who somebody is. Its error is for the log: it has no token,
// and nothing of the person.
func (p *provider) redeem(ctx context.Context, k *known, code string, b begun) (person, result, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), 2*providerTimeout)
	defer cancel()
	cfg := k.oauth2
	cfg.ClientSecret = p.ClientSecret()
	token, err := cfg.Exchange(ctx, code, oauth2.VerifierOption(b.Verifier))
	if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) {
		return person{}, invalidCode, errors.New("the provider refused the code: " + knownCode(refused.ErrorCode))
	}
	if err != nil {
		p.forget()
		return person{}, unavailable, errors.New("the provider did not answer to a code: " + shortened(err))
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := k.verifier.Verify(ctx, raw)
	if err == nil {
		err = p.check(id, b)
	}
	if err != nil {
		return person{}, invalidToken, errors.New("the provider's ID token is not valid: " + shortened(err))
	}
	who, err := p.read(id)
	if err != nil {
		return person{}, invalidToken, err
	}
	return who, signedIn, nil
}

// check has what go-oidc leaves to its users.
func (p *provider) check(id *oidc.IDToken, b begun) error {
	var claims struct {
		Party *string `json:"azp"`
	}
	if err := id.Claims(&claims); err != nil {
		return errors.New("the claim azp is not a text")
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(b.Nonce)) != 1:
		return errors.New("it is for another sign-in, by its nonce")
	case claims.Party != nil && *claims.Party != p.ClientID || claims.Party == nil && len(id.Audience) > 1:
		return errors.New("it is for another client, by its azp")
	case id.IssuedAt.After(p.now().Add(clockSkew)):
		return fmt.Errorf("it is from the future: the clocks of the provider and the desk differ by more than %s", clockSkew)
	case !validID(id.Subject):
		return errors.New("its subject is empty, too long or not printable")
	}
	return nil
}

func (p *provider) read(id *oidc.IDToken) (person, error) {
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return person{}, errors.New("the provider's ID token is not an object")
	}
	who := person{id: id.Subject}
	for _, name := range []string{p.NameClaim, "preferred_username", "sub"} {
		if text, _ := claims[name].(string); who.name == "" {
			who.name = printable(text)
		}
	}
	value, has := claims[p.GroupsClaim]
	who.hasGroups = has
	switch value := value.(type) {
	case string:
		who.groups = []string{value}
	case []any:
		for _, v := range value {
			if group, ok := v.(string); ok {
				who.groups = append(who.groups, group)
			}
		}
	}
	return who, nil
}

// maxName is how much is kept of a name, in bytes.
const maxName = 200

// printable is a name as a page can show it.
func printable(name string) string {
	name = strings.TrimSpace(strings.Map(func(c rune) rune {
		if notPrinted(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(name, "")))
	return cut(name, maxName)
}

// cut shortens a text between characters.
func cut(s string, most int) string {
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// shortened is an error for the log. Libraries put whole replies into theirs: those of
// the endpoints for discovery and keys, which say nothing of people.
func shortened(err error) string { return cut(err.Error(), 300) }

// knownCode is an error code of OAuth 2.0 or OpenID Connect, or a word for all others: a
// log has nothing in it that somebody else chose.
func knownCode(code string) string {
	if slices.Contains([]string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
		"invalid_scope", "access_denied", "unsupported_response_type", "server_error", "temporarily_unavailable",
		"interaction_required", "login_required", "account_selection_required", "consent_required"}, code) {
		return code
	}
	return "another error"
}
