package relay

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestKeyCheck_SaysWhetherTheKeyIsAcceptedAndNothingComesOfIt(t *testing.T) {
	r := newRig(t)
	admin := NewAdmin(AdminConfig{Gatherer: r.metrics, Readiness: NewReadiness(func() Health { return Health{} }), KeyCheck: r.KeyCheck()}).Server().Handler
	check := func(path, digest string) int {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set(HeaderKeyDigest, digest)
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, req)
		return w.Code
	}
	good, bad := NewKey("k", testKey).Digest(), NewKey("k", "nobody's key").Digest()
	for _, c := range []struct {
		name, path, digest string
		want               int
	}{
		{"a key in force", "/sine/lobby", good, 204},
		{"another key", "/sine/lobby", bad, 401},
		{"an unknown integration", "/sine/nowhere", good, 401},
		{"no digest", "/sine/lobby", "", 400},
		{"the key itself", "/sine/lobby", testKey, 400},
		{"the beginning of a digest", "/sine/lobby", good[:8], 401},
	} {
		if got := check(c.path, c.digest); got != c.want {
			t.Errorf("%s: answered %d, want %d", c.name, got, c.want)
		}
	}
	for n, code := 0, 0; code != 429; n++ {
		if code = check("/sine/lobby", bad); n > 10_000 {
			t.Fatal("somebody who guesses is not held up")
		}
	}
	if got := check("/sine/lobby", good); got != 204 {
		t.Errorf("a key in force is answered %d because others are wrong", got)
	}
	if sent := append(r.broker.published, r.broker.asked...); len(sent) != 0 {
		t.Errorf("%d messages were sent", len(sent))
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/sine/lobby", nil))
	if w.Code != 405 {
		t.Errorf("from outside answered %d", w.Code)
	}
	if strings.Contains(r.log.String(), good) {
		t.Errorf("logged: %s", r.log.String())
	}
}
