package access

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/wait"
)

// A copy of the cookie is what somebody has who looked at the browser's store.
func TestSignOut_EndsCopiesOfTheSessionAndTheirStreams(t *testing.T) {
	d, p := withProvider(t)
	b, cookie := signedInBrowser(t, d, p)
	p.QueueUser(anna())
	another := newBrowser(t, d)
	another.get(d.URL+"/").says(t, http.StatusOK, asAnna)

	var recorded []string
	d.access.SignedOut = func(_ context.Context, u User, key string) { recorded = append(recorded, u.ID+" "+key) }
	r := httptest.NewRequest(http.MethodGet, d.URL+"/events", nil)
	r.AddCookie(&http.Cookie{Name: "sine-relay-session", Value: cookie})
	opened, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		d.access.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(opened)
			<-r.Context().Done()
		})).ServeHTTP(httptest.NewRecorder(), r)
	}()
	<-opened
	b.do(http.MethodPost, d.URL+"/sign-out", url.Values{}, "Sec-Fetch-Site", "same-origin").says(t, http.StatusOK, "You are signed out of the desk")
	select {
	case <-ended:
	case <-time.After(wait.Limit):
		t.Error("a stream of the copy goes on")
	}
	thief := newBrowser(t, d)
	thief.setCookie(d, "sine-relay-session", cookie)
	if !isSignedOut(d, thief) {
		t.Error("a copy of the cookie is a session still")
	}
	another.get(d.URL+"/").says(t, http.StatusOK, asAnna) // hers at another machine
	thief.do(http.MethodPost, d.URL+"/sign-out", url.Values{}, "Sec-Fetch-Site", "same-origin")
	if len(recorded) != 1 {
		t.Errorf("recorded is %q, want it once", recorded)
	}
}

func TestEnd_EndsASessionThatWasSignedOutElsewhere(t *testing.T) {
	key := func() [][]byte { return [][]byte{[]byte(fmt.Sprintf("%064d", 7))} }
	d, p := withProvider(t, func(c *Config) { c.SessionKeys = key })
	b, cookie := signedInBrowser(t, d, p)
	cfg := p.config()
	cfg.SessionKeys = key
	second := startDesk(t, cfg, httptest.NewServer)
	thief := newBrowser(t, second)
	thief.setCookie(second, "sine-relay-session", cookie)
	thief.get(second.URL+"/").says(t, http.StatusOK, asAnna)

	d.access.SignedOut = func(_ context.Context, _ User, key string) { second.access.End(key) }
	b.do(http.MethodPost, d.URL+"/sign-out", url.Values{}, "Sec-Fetch-Site", "same-origin")
	if !isSignedOut(second, thief) {
		t.Error("it is a session at the second desk still")
	}
}

func TestEndings_AreBoundedAndForgottenInTime(t *testing.T) {
	e, now := newEndings(), time.Now()
	for i := range maxEnded + 10 {
		e.end(fmt.Sprint("key-", i), now, now.Add(time.Hour))
	}
	if len(e.ended) != maxEnded || len(e.queue) != maxEnded || e.has("key-9") || !e.has("key-10") {
		t.Errorf("%d are remembered, %d in the queue", len(e.ended), len(e.queue))
	}
	e.end("key-10", now, now.Add(2*time.Hour)) // as when it is read again
	e.end("late", now.Add(time.Hour), now.Add(2*time.Hour))
	if len(e.ended) != 1 || !e.has("late") {
		t.Errorf("%d are remembered after a session's lifetime", len(e.ended))
	}
	e.end("", now, now.Add(time.Hour))
	if e.has("") {
		t.Error("no session has ended")
	}
}

// What was ended between the look at it and the request's beginning is over.
func TestEndings_ARequestOfAnEndedSessionDoesNotBegin(t *testing.T) {
	e, now := newEndings(), time.Now()
	e.end("key", now, now.Add(time.Hour))
	ctx, end := e.begin(t.Context(), "key")
	if ctx.Err() == nil {
		t.Error("it goes on")
	}
	end()
	if len(e.running) != 0 {
		t.Errorf("%d sessions have requests", len(e.running))
	}
}
