package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func startProvider(t *testing.T) *mockoidc.MockOIDC {
	t.Helper()
	provider, err := mockoidc.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	basic := func(next http.Handler) http.Handler { // which mockoidc claims to understand
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if id, secret, ok := r.BasicAuth(); ok {
				r.ParseForm()
				r.Form.Set("client_id", id)
				r.Form.Set("client_secret", secret)
			}
			next.ServeHTTP(w, r)
		})
	}
	if err := errors.Join(provider.AddMiddleware(basic), provider.Start(httptest.NewUnstartedServer(nil).Listener, nil)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Shutdown() })
	return provider
}

// signInDesk runs a desk with an OpenID provider, and keys that others have, too.
func signInDesk(t *testing.T, provider *mockoidc.MockOIDC, b *fakeBroker, logs *logtest.Buffer) (url string) {
	t.Helper()
	d, url := newSignInDesk(t, provider, b, logs, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return url
}

// newSignInDesk is one that does not run.
func newSignInDesk(t *testing.T, provider *mockoidc.MockOIDC, b *fakeBroker, logs *logtest.Buffer, now func() time.Time) (d *Desk, url string) {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	who, err := access.New(t.Context(), access.Config{
		OIDC: &access.OIDC{Issuer: provider.Issuer(), ClientID: provider.ClientID, ClientSecret: func() string { return provider.ClientSecret },
			RedirectURL: server.URL + "/callback", Scopes: []string{"profile", "groups"}},
		Roles:       []access.Mapping{{Group: "viewers", Role: access.Viewer, Sites: []string{visit.AllSites}}},
		SessionKeys: func() [][]byte { return [][]byte{[]byte(strings.Repeat("k", 32))} },
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err = New(Config{Broker: b, Access: who, Logger: slog.New(slog.NewTextHandler(logs, nil)), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	handler = d
	return d, server.URL
}

// signIn returns a browser of somebody who has signed in, and a copy of the session.
func signIn(t *testing.T, provider *mockoidc.MockOIDC, desk string) (*http.Client, *http.Cookie) {
	t.Helper()
	provider.QueueUser(&mockoidc.MockUser{Subject: "u-17", PreferredUsername: "vera", Groups: []string{"viewers"}})
	jar, _ := cookiejar.New(nil) // which never fails
	browser := &http.Client{Jar: jar}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, desk+"/", nil)
	req.Header.Set("Accept", "text/html")
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	home, _ := url.Parse(desk)
	for _, c := range jar.Cookies(home) {
		if c.Name == "sine-relay-session" && resp.StatusCode == http.StatusOK {
			return browser, c
		}
	}
	t.Fatalf("there is no session: %s", resp.Status)
	return nil, nil
}

// statusOf is what a script gets that has a copy of a session.
func statusOf(t *testing.T, desk string, session *http.Cookie) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, desk+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(session)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func signOut(t *testing.T, browser *http.Client, desk string) {
	t.Helper()
	resp, err := browser.Post(desk+"/sign-out", "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestSignOut_EndsCopiesAtOtherDesksAndAfterARestart(t *testing.T) {
	provider := startProvider(t)
	b, logs := stored(), &logtest.Buffer{}
	first, second := signInDesk(t, provider, b, logs), signInDesk(t, provider, b, logs)
	browser, copied := signIn(t, provider, first)
	for _, desk := range []string{first, second} {
		if got := statusOf(t, desk, copied); got != http.StatusOK {
			t.Fatalf("the session is answered %d", got)
		}
	}
	signOut(t, browser, first)
	if got := statusOf(t, first, copied); got != http.StatusUnauthorized {
		t.Errorf("at once, a copy is answered %d", got)
	}
	wait.Until(t, "the copy is none at the second desk", func() bool { return statusOf(t, second, copied) == http.StatusUnauthorized })
	restarted := signInDesk(t, provider, b, logs)
	wait.Until(t, "the copy is none at a desk that has started", func() bool { return statusOf(t, restarted, copied) == http.StatusUnauthorized })
	all := b.audited()
	if last := all[len(all)-1]; last.Action != visit.ActionSignOut || last.User != "u-17" || last.Site != visit.AllSites || strings.Contains(copied.Value, last.Subject) {
		t.Errorf("the entry is %+v", last)
	}
}

func TestSignOut_IsRecordedOnceThatIsPossible(t *testing.T) {
	b, logs := stored(), &logtest.Buffer{}
	d, _ := newSignInDesk(t, startProvider(t), b, logs, nil)
	b.set(func() { b.auditErr = errors.New("the stream is full") })
	d.signedOut(t.Context(), access.User{ID: "vera"}, "FIRST")
	d.signedOut(t.Context(), access.User{ID: "rita"}, "SECOND")
	d.recordUnrecorded(t.Context())
	if text := logs.String(); strings.Count(text, "could not be recorded yet") != 2 || strings.Contains(text, "are recorded") {
		t.Errorf("the log says %s", text)
	}
	b.set(func() { b.auditErr = nil })
	for range 2 { // the second time there is nothing left
		d.recordUnrecorded(t.Context())
		all := b.audited()
		if len(all) != 2 || all[0].Subject != "FIRST" || all[0].User != "vera" || all[1].Subject != "SECOND" || all[1].Action != visit.ActionSignOut {
			t.Errorf("%+v are stored", all)
		}
	}
	if text := logs.String(); strings.Count(text, "are recorded") != 1 || !strings.Contains(text, "sessions=2") {
		t.Errorf("the log says %s", text)
	}
}

func TestSignOut_OfASessionThatHasExpiredIsNotRecordedAnyMore(t *testing.T) {
	var later atomic.Int64
	b := stored()
	d, _ := newSignInDesk(t, startProvider(t), b, &logtest.Buffer{}, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	b.set(func() { b.auditErr = errors.New("the stream is full") })
	d.signedOut(t.Context(), access.User{ID: "vera"}, "KEY")
	b.set(func() { b.auditErr = nil })
	later.Store(int64(d.access.SessionLifetime() + time.Minute))
	d.recordUnrecorded(t.Context())
	if _, n := d.unrecorded.first(); n != 0 || len(b.audited()) != 0 {
		t.Errorf("%d wait and %d are stored", n, len(b.audited()))
	}
}

func TestSignOut_OnlySoManyWaitToBeRecorded(t *testing.T) {
	b, logs := stored(), &logtest.Buffer{}
	d, _ := newSignInDesk(t, startProvider(t), b, logs, nil)
	b.set(func() { b.auditErr = errors.New("the stream is full") })
	for i := range maxUnrecorded + 1 {
		d.signedOut(t.Context(), access.User{ID: fmt.Sprint(i)}, "KEY")
	}
	if _, n := d.unrecorded.first(); n != maxUnrecorded || strings.Count(logs.String(), "too many wait for that already") != 1 {
		t.Errorf("%d wait, and the log ends with %s", n, logs.String()[len(logs.String())-300:])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.recordLater(ctx)
	if text := logs.String(); !strings.Contains(text, "not recorded before the desk ended") || !strings.Contains(text, fmt.Sprint("sessions=", maxUnrecorded)) {
		t.Errorf("the log does not say how many are lost: %s", text[len(text)-300:])
	}
}

// NATS must not keep somebody from signing out.
func TestSignOut_WithoutARecordIsSaidInTheLog(t *testing.T) {
	provider := startProvider(t)
	b, logs := stored(), &logtest.Buffer{}
	desk := signInDesk(t, provider, b, logs)
	browser, copied := signIn(t, provider, desk)
	b.set(func() { b.auditErr = errors.New("the stream is full") })
	signOut(t, browser, desk)
	if got := statusOf(t, desk, copied); got != http.StatusUnauthorized {
		t.Errorf("a copy is answered %d", got)
	}
	if text := logs.String(); !strings.Contains(text, "could not be recorded") || !strings.Contains(text, "the stream is full") || strings.Contains(text, "u-17") {
		t.Errorf("the log says %s", text)
	}
}

func TestSignOut_WhoSignsOutAgainAndAgainFillsNothing(t *testing.T) {
	f := newFixture(t, stored())
	for range 100 {
		f.signedOut(t.Context(), access.User{ID: "vera"}, "KEY")
	}
	f.signedOut(t.Context(), access.User{ID: "rita"}, "KEY")
	if n := len(f.broker.audited()); n != 21 {
		t.Errorf("%d entries are stored, want 20 of one user and one of another", n)
	}
}
