package access

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
)

// callback is where the provider sends somebody back to.
func (s *signIn) callback(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	b, ok := s.claim(w, r, query.Get("state"))
	if !ok {
		s.unknownSignIn(w, r)
		return
	}
	if s.tooMany(w, r) {
		return
	}
	if issuer := query.Get("iss"); issuer != "" && issuer != s.provider.Issuer {
		s.fail(w, r, invalidToken, errors.New("the answer is of another issuer"), notSignedIn)
		return
	}
	if code := query.Get("error"); code != "" {
		s.fail(w, r, denied, errors.New("the provider says "+knownCode(code)), notSignedIn)
		return
	}
	k, err := s.provider.find(r.Context())
	if err != nil {
		s.away(w, r)
		return
	}
	who, how, err := s.provider.redeem(r.Context(), k, query.Get("code"), b)
	switch {
	case how == unavailable:
		s.warn(r.Context(), "a sign-in failed", string(how), slog.String("result", string(how)), slog.String("error", err.Error()))
		s.away(w, r)
	case err != nil:
		s.fail(w, r, how, err, notSignedIn)
	default:
		s.welcome(w, r, who, b.Return)
	}
}

// claim returns the sign-in that an answer belongs to, once: the browser forgets it.
// Without it the answer is of a sign-in that somebody else began, to have this browser
// act as them, or it has been here before.
func (s *signIn) claim(w http.ResponseWriter, r *http.Request, state string) (begun, bool) {
	var b begun
	if state == "" || !s.read(r, begunCookie(state), begunKind, &b) || subtle.ConstantTimeCompare([]byte(state), []byte(b.State)) != 1 {
		return begun{}, false
	}
	s.clear(w, begunCookie(state))
	return b, s.now().Unix() < b.Until
}

func (s *signIn) unknownSignIn(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.current(r); ok { // who went back in the browser
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.count(unknown)
	s.show(w, r, Page{Status: http.StatusBadRequest, Title: "Not signed in", Link: s.origin + "/", Label: "Begin again",
		Text: "This sign-in was not begun in this browser and at this address, or longer ago than ten minutes, or it was used already."})
}

// welcome begins the session of somebody who may do something.
func (s *signIn) welcome(w http.ResponseWriter, r *http.Request, who person, to string) {
	prints := s.roles.prints(who.groups)
	if len(prints) == 0 {
		if !who.hasGroups {
			s.warn(r.Context(), "an ID token has no groups: nobody can get a role", "", slog.String("claim", s.provider.GroupsClaim))
		}
		s.count(noRole)
		s.set(w, signedOutCookie, "1", s.lifetime) // so that another account can be chosen
		page := noRolePage
		page.Link, page.Label = signInPath, "Sign in with another account"
		s.show(w, r, page)
		return
	}
	sealed, err := s.seal(sessionCookie, session{Key: rand.Text(), ID: who.id, Name: who.name, Groups: prints, Until: s.now().Add(s.lifetime).Unix()})
	if err == nil && len(sealed) > maxSession {
		err = errors.New("too many groups of one user have a role")
	}
	if err != nil {
		s.fail(w, r, failed, err, ownFailure)
		return
	}
	s.count(signedIn)
	s.set(w, sessionCookie, sealed, s.lifetime)
	if len(r.CookiesNamed(s.name(signedOutCookie))) > 0 {
		s.clear(w, signedOutCookie)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
