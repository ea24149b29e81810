package access

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"
)

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
