package relay

import (
	"net/http"
	"strings"
	"testing"
)

// mux redirects unclean paths by default, and a redirect aborts a check-in.
func TestTrap_NoPathIsEverRedirected(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{
		"//sine/lobby", "/sine//lobby", "/sine/./lobby", "/sine/../sine/lobby", "/sine/lobby//",
		"/sine/lobby/../lobby", "/sine", "/sine/", "/sine/lobby/check-in-request//", "/",
	} {
		w := r.post(path, checkInBody)
		if w.Code >= 300 && w.Code < 400 {
			t.Errorf("%s: redirected with %d to %s", path, w.Code, w.Header().Get("Location"))
		}
		if w.Code != 404 && w.Code != 401 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// mux runs middleware given to Use for neither 404 nor 405.
func TestTrap_WhatMatchesNothingIsCountedAndLogged(t *testing.T) {
	r := newRig(t)
	r.post("/nowhere", "")
	r.post("/sine/lobby", "", func(req *http.Request) { req.Method = "GET" })
	metrics := string(gather(t, r))
	for _, want := range []string{
		`sine_relay_http_requests_total{code="404",method="POST",route="none"} 1`,
		`sine_relay_http_requests_total{code="405",method="GET",route="/sine/{integration}"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	if lines := strings.Count(r.log.String(), `"msg":"webhook"`); lines != 2 {
		t.Errorf("%d log lines, want 2:\n%s", lines, r.log)
	}
}

// Several routes for POST on one router turn some 405s into 404s.
func TestTrap_AWrongMethodIsNeverAnUnknownPath(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/sine/lobby", "/sine/lobby/", "/sine/lobby/check-in-request", "/sine/lobby/check-out-success/"} {
		w := r.post(path, "", func(req *http.Request) { req.Method = "GET" })
		if w.Code != 405 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// mux takes an encoded slash for a slash by default.
func TestTrap_AnEncodedSlashIsNone(t *testing.T) {
	r := newRig(t)
	if w := r.post("/sine/lobby%2Fcheck-in-success", checkedIn); w.Code != 401 {
		t.Errorf("answered %d", w.Code)
	}
}
