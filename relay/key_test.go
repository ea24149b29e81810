package relay

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		name, integration, key string
		status                 int
		label                  string
	}{
		{"the first key", "lobby", testKey, 200, ""},
		{"the second key", "lobby", "second-key", 200, ""},
		{"white space around the sent key", "lobby", " \t" + testKey + " ", 200, ""},
		{"white space around the configured key", "lobby", "second-key", 200, ""},
		{"a wrong key", "lobby", "wrong", 401, `{integration="lobby",reason="wrong_key"} 1`},
		{"a part of the key", "lobby", testKey[:5], 401, `{integration="lobby",reason="wrong_key"} 1`},
		{"no key", "lobby", "", 401, `{integration="lobby",reason="missing_key"} 1`},
		{"an unknown integration", "cellar", testKey, 401, `{integration="unknown",reason="unknown_integration"} 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) {
				cfg.Integrations[0].Keys = append(cfg.Integrations[0].Keys, NewKey("second", "\n second-key\n"))
			})
			w := r.post("/sine/"+c.integration, checkedIn, func(req *http.Request) { req.Header.Set("X-SINE-AUTH", c.key) })
			if w.Code != c.status {
				t.Errorf("answered %d, want %d", w.Code, c.status)
			}
			if metrics := string(gather(t, r)); c.label != "" && !strings.Contains(metrics, "sine_relay_webhooks_refused_total"+c.label) {
				t.Errorf("not counted as %s", c.label)
			}
		})
	}
}

func TestUnauthorisedCallersCannotTellWhy(t *testing.T) {
	r := newRig(t)
	answers := map[string]bool{}
	for _, path := range []string{"/sine/lobby", "/sine/cellar", "/sine/lobby/check-in-request"} {
		for _, key := range []string{"", "wrong"} {
			w := r.post(path, checkedIn, func(req *http.Request) { req.Header.Set("X-Sine-Auth", key) })
			w.Header().Del("Sine-Relay-Request-Id")
			var all strings.Builder
			w.Header().Write(&all)
			answers[all.String()+w.Body.String()] = true
		}
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers: %v", len(answers), answers)
	}
}

// untouchable is a body that must not be read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read before the key was checked")
	return 0, errors.New("read")
}
func (u untouchable) Close() error { return nil }

func TestTheKeyIsCheckedBeforeTheBodyIsRead(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/sine/lobby", "/sine/cellar"} {
		w := r.post(path, "", func(req *http.Request) {
			req.Header.Set("X-Sine-Auth", "wrong")
			req.Body = io.NopCloser(untouchable{t})
			req.ContentLength = 10
		})
		if w.Code != 401 {
			t.Errorf("answered %d", w.Code)
		}
	}
}
