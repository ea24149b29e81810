package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	checkInBody  = `{"event":"signin_before","date":"2026-11-18T21:42:07.000Z","data":{"firstName":"Ada"}}`
	checkedIn    = `{"event":"signin_after","date":"2026-11-18T21:42:31.000Z","data":{"firstName":"Ada"}}`
	checkedOut   = `{"event":"signout_after","date":"2026-11-18T22:00:00.000Z","data":{"firstName":"Ada"}}`
	workflowBody = `{"user":{"firstName":"Ada"},"workflow":{"name":"Induction"}}`
)

func failAsk(err error) func(*rig) {
	return func(r *rig) {
		r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
			return visit.Decision{}, fmt.Errorf("ask: %w", err)
		}
	}
}

func failPublish(err error) func(*rig) {
	return func(r *rig) {
		r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
			return visit.Receipt{}, fmt.Errorf("publish: %w", err)
		}
	}
}

func decide(d visit.Decision) func(*rig) {
	return func(r *rig) {
		r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) { return d, nil }
	}
}

// Every row of the answers table.
func TestWebhook_Responses(t *testing.T) {
	t.Parallel()
	const door1, in1, out1 = "/sine/lobby/check-in-request", "/sine/lobby/check-in-success", "/sine/lobby/check-out-success"
	large := `{"event":"signin_after","data":{"firstName":"` + strings.Repeat("x", 300<<10) + `"}}`
	for _, c := range []struct {
		name   string
		path   string
		body   string
		setup  func(*rig)
		status int
		code   string
		result result
		entry  result // in the ledger; empty for none
	}{
		{"an accepted visitor", "/sine/lobby", checkInBody, nil, 200, "SUCCESS", resultAccepted, ""},
		{"an accepted visitor on the pinned URL", door1, checkInBody, nil, 200, "SUCCESS", resultAccepted, ""},
		{"a trailing slash", "/sine/lobby/", checkInBody, nil, 200, "SUCCESS", resultAccepted, ""},
		{"a trailing slash on the pinned URL", door1 + "/", checkInBody, nil, 200, "SUCCESS", resultAccepted, ""},
		{"a rejected visitor", "/sine/lobby", checkInBody, decide(visit.Decision{Verdict: visit.Reject, VisitorText: "No"}), 200, "REJECTED", resultRejected, ""},
		{"no decider", "/sine/lobby", checkInBody, failAsk(visit.ErrNoDecider), 200, "REJECTED", "no_decider", ""},
		{"a timeout", "/sine/lobby", checkInBody, failAsk(visit.ErrTimeout), 200, "REJECTED", "timeout", ""},
		{"no connection", "/sine/lobby", checkInBody, failAsk(visit.ErrDisconnected), 200, "REJECTED", "disconnected", ""},
		{"a denied question", "/sine/lobby", checkInBody, failAsk(visit.ErrDenied), 200, "REJECTED", "denied", ""},
		{"a bad reply", "/sine/lobby", checkInBody, failAsk(visit.ErrBadReply), 200, "REJECTED", "bad_reply", ""},

		{"a stored check-in", "/sine/lobby", checkedIn, nil, 200, "SUCCESS", resultStored, resultStored},
		{"a stored check-in on the pinned URL", in1, checkedIn, nil, 200, "SUCCESS", resultStored, resultStored},
		{"a stored check-out", out1 + "/", checkedOut, nil, 200, "SUCCESS", resultStored, resultStored},
		{"a repeat", "/sine/lobby", checkedIn, func(r *rig) {
			r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
				return visit.Receipt{Duplicate: true}, nil
			}
		}, 200, "SUCCESS", resultDuplicate, resultDuplicate},
		{"a spooled event", "/sine/lobby", checkedIn, func(r *rig) {
			r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) {
				return visit.Receipt{Spooled: true}, nil
			}
		}, 200, "SUCCESS", resultSpooled, resultSpooled},
		{"an event that cannot be stored", "/sine/lobby", checkedIn, failPublish(visit.ErrStreamFull), 503, "UNAVAILABLE", resultRefused, resultRefused},

		{"no JSON on an open URL", "/sine/lobby", "hello", nil, 200, "REJECTED", resultQuarantined, resultQuarantined},
		{"no JSON on the door's URL", door1, "hello", nil, 200, "REJECTED", resultQuarantined, resultQuarantined},
		{"no JSON on an event's URL", in1, "hello", nil, 400, "UNREADABLE", resultQuarantined, resultQuarantined},
		{"an event that breaks off, on an open URL", "/sine/lobby", checkedIn[:len(checkedIn)-1], nil, 400, "UNREADABLE", resultQuarantined, resultQuarantined},
		{"a request that breaks off, on an open URL", "/sine/lobby", checkInBody[:len(checkInBody)-1], nil, 200, "REJECTED", resultQuarantined, resultQuarantined},
		{"an event in Latin-1, on an open URL", "/sine/lobby", strings.Replace(checkedOut, "Ada", "Ren\xe9", 1), nil, 400, "UNREADABLE", resultQuarantined, resultQuarantined},
		{"an empty body", "/sine/lobby", "", nil, 200, "REJECTED", resultQuarantined, resultQuarantined},
		{"invalid UTF-8", in1, "{\"event\":\"signin_after\",\"data\":{\"firstName\":\"\xff\"}}", nil, 400, "UNREADABLE", resultQuarantined, resultQuarantined},
		{"an unknown event", "/sine/lobby", `{"event":"coffee_break","data":{}}`, nil, 200, "REJECTED", resultQuarantined, resultQuarantined},
		{"another product's call", "/sine/lobby", workflowBody, nil, 200, "REJECTED", resultQuarantined, resultQuarantined},
		{"another product's call on an event's URL", out1, workflowBody, nil, 400, "UNREADABLE", resultQuarantined, resultQuarantined},
		{"a JSON list", "/sine/lobby", `[]`, nil, 200, "REJECTED", resultQuarantined, resultQuarantined},
		{"JSON that is too deep", in1, strings.Repeat("[", 40) + strings.Repeat("]", 40), nil, 400, "UNREADABLE", resultQuarantined, resultQuarantined},
		{"what cannot be read and not be kept", "/sine/lobby", "hello", failPublish(visit.ErrDisconnected), 503, "UNAVAILABLE", resultRefused, resultRefused},
		{"an event that is too large", "/sine/lobby", large, nil, 413, "TOO_LARGE", resultTooLarge, resultQuarantined},
		{"too large, and perhaps a visitor's", "/sine/lobby", "x" + large, nil, 413, "REJECTED", resultTooLarge, resultQuarantined},
		{"too large on an event's URL", in1, large, nil, 413, "TOO_LARGE", resultTooLarge, resultQuarantined},
		{"too large and not to be kept", in1, large, failPublish(visit.ErrDisconnected), 413, "TOO_LARGE", resultTooLarge, resultRefused},
		{"too large for the visitor who waits", door1, large, nil, 200, "REJECTED", resultTooLarge, resultQuarantined},

		{"an unknown path", "/nowhere", checkedIn, nil, 404, "NOT_FOUND", "", ""},
		{"an unknown event in the path", "/sine/lobby/check-in", checkedIn, nil, 404, "NOT_FOUND", "", ""},
		{"an unknown integration", "/sine/cellar", checkedIn, nil, 401, "UNAUTHORIZED", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			if c.setup != nil {
				c.setup(r)
			}
			w := r.post(c.path, c.body)
			var answered struct{ Code, Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &answered); err != nil {
				t.Fatalf("the answer is not JSON: %v: %s", err, w.Body)
			}
			if w.Code != c.status || answered.Code != c.code {
				t.Errorf("answered %d %s, want %d %s", w.Code, answered.Code, c.status, c.code)
			}
			if answered.Code == "REJECTED" && answered.Message == "" {
				t.Error("a rejection has no text for the visitor")
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
			if len(w.Header().Get("Sine-Relay-Request-Id")) != 20 {
				t.Error("no request id in the answer's header")
			}
			if c.result != "" {
				r.wantResult(t, c.result)
			}
			if c.entry != "" && r.settledAs(c.entry) != 1 {
				t.Errorf("the ledger has no %s", c.entry)
			}
			if received, settled := r.ledger(t); received != settled || (c.entry == "") != (received == 0) {
				t.Errorf("the ledger does not balance: %v received, %v settled", received, settled)
			}
		})
	}
}

// wantResult checks that exactly one webhook was counted, under one outcome.
func (r *rig) wantResult(t *testing.T, res result) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "sine_relay_webhooks_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if v := m.GetCounter().GetValue(); l.GetName() == "result" && v > 0 {
					found[l.GetValue()] += v
				}
			}
		}
	}
	if len(found) != 1 || found[string(res)] != 1 {
		t.Errorf("results counted: %v, want one %s", found, res)
	}
}

func TestWebhook_ARefusedEventMayBeSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	failPublish(visit.ErrTimeout)(r)
	w := r.post("/sine/lobby", checkedIn)
	if w.Header().Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	if strings.Contains(w.Body.String(), visit.ErrTimeout.Error()) {
		t.Errorf("an error's text reached the caller: %s", w.Body)
	}
}

func TestWebhook_FallbacksAreTheIntegrations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		mode RejectMode
		fall policy.Fallback
		want string
		code int
	}{
		{"accept with a text", RejectByCode, policy.Fallback{Verdict: visit.Accept, VisitorText: "Go on"}, `"visitorNotes":"Go on"`, 200},
		{"reject with a text", RejectByCode, policy.Fallback{Verdict: visit.Reject, VisitorText: "Wait"}, `"message":"Wait"`, 200},
		{"reject by status", RejectByStatus, policy.Fallback{Verdict: visit.Reject, VisitorText: "Wait"}, `"message":"Wait"`, 403},
		{"accept where rejections are said by status", RejectByStatus, policy.Fallback{Verdict: visit.Accept}, `"code":"SUCCESS"`, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) {
				cfg.Integrations[0].RejectMode = c.mode
				cfg.Integrations[0].Policy.Fallbacks = map[policy.Situation]policy.Fallback{policy.NoDecider: c.fall}
			})
			failAsk(visit.ErrNoDecider)(r)
			w := r.post("/sine/lobby", checkInBody)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("answered %d %s, want %d with %s", w.Code, w.Body, c.code, c.want)
			}
		})
	}
}

func TestWebhook_TheReferenceIsTheRequestIDsBeginning(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	failAsk(visit.ErrNoDecider)(r)
	w := r.post("/sine/lobby", checkInBody)
	ref := w.Header().Get("Sine-Relay-Request-Id")[:5]
	if !strings.Contains(w.Body.String(), "Please see reception. Reference "+ref+".") {
		t.Errorf("no reference %s in %s", ref, w.Body)
	}
}

func TestWebhook_OnlyPostIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/sine/lobby", "/sine/lobby/", "/sine/lobby/check-in-success", "/sine/unknown"} {
		for _, method := range []string{"GET", "PUT", "HEAD", "DELETE", "PROPFIND"} {
			w := r.post(path, "", func(req *http.Request) { req.Method = method })
			if w.Code != 405 || w.Header().Get("Allow") != "POST" {
				t.Errorf("%s %s: %d, Allow %q", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
}

func TestKind_TheURLWins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.post("/sine/lobby/check-out-success", checkedIn)
	if w.Code != 200 || r.broker.published[0].Subject != "visitors.v1.event.hq.checked_out" {
		t.Errorf("%d, published to %s", w.Code, r.broker.published[0].Subject)
	}
	if !strings.Contains(r.log.String(), "another kind") {
		t.Errorf("the mismatch was not logged: %s", r.log)
	}
}

func TestKind_EventNamesOfAnIntegration(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) {
		cfg.Integrations[0].Events = map[string]visit.Kind{"Visitor Arrived": visit.KindCheckedIn}
	})
	for _, name := range []string{"visitor_arrived", "VisitorArrived", "visitor.arrived", "SignIn-After", "CHECK IN SUCCESS"} {
		w := r.post("/sine/lobby", `{"event":"`+name+`","data":{}}`)
		if w.Code != 200 || !strings.Contains(w.Body.String(), "eventId") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestWebhook_AWrongContentTypeIsReadAndCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.post("/sine/lobby", checkedIn, func(req *http.Request) { req.Header.Set("Content-Type", "text/plain") })
	if w.Code != 200 || r.settledAs(resultStored) != 1 {
		t.Errorf("answered %d", w.Code)
	}
	metrics := string(gather(t, r))
	if !strings.Contains(metrics, `sine_relay_webhooks_wrong_content_type_total{integration="lobby"} 1`) {
		t.Error("it was not counted")
	}
}

// The mark is an operator's: with a key alone, visitors could be made nobody.
func TestSynthetic_TheMarkIsTakenFromTheAdminListenerOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		admin, mark     bool
		key             string
		status, becomes int
		marked          bool
	}{
		{"from outside", false, true, testKey, 200, 1, false},
		{"from the admin side", true, true, testKey, 200, 1, true},
		{"from the admin side, without a key", true, true, "nobody's", 401, 0, false},
		{"Sine's own call, to the admin side by mistake", true, false, testKey, 404, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, body := range []string{checkedIn, checkInBody, "nonsense"} {
				r := newRig(t)
				handler := http.Handler(r.Relay)
				if c.admin {
					readiness := NewReadiness(func() Health { return Health{} })
					handler = NewAdmin(AdminConfig{Gatherer: r.metrics, Readiness: readiness, Synthetic: r.Synthetic()}).Server().Handler
				}
				req := httptest.NewRequest(http.MethodPost, "/sine/lobby", strings.NewReader(body))
				req.Header.Set("x-sine-auth", c.key)
				if c.mark {
					req.Header.Set(visit.HeaderSynthetic, "true")
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, req)
				sent := append(r.broker.published, r.broker.asked...)
				if w.Code != c.status || len(sent) != c.becomes {
					t.Fatalf("%s: answered %d, %d messages", body, w.Code, len(sent))
				}
				for _, m := range sent {
					marked := strings.Contains(string(m.Data), `"synthetic":true`) || m.Header[visit.HeaderSynthetic] != nil
					if marked != c.marked {
						t.Errorf("%s: marked as synthetic: %v", body, marked)
					}
				}
			}
		})
	}
}

func TestLedger_BalancesAfterAPanic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) { panic("Ada Lovelace") }
	w := r.post("/sine/lobby", checkedIn)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "INTERNAL") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if received, settled := r.ledger(t); received != 1 || settled != 1 {
		t.Errorf("the ledger does not balance: %v received, %v settled", received, settled)
	}
	if strings.Contains(r.log.String(), "Ada") {
		t.Error("the panic's value was logged")
	}
}

// A door at which no request can be read is to be seen as one.
func TestKind_OfABrokenBodyIsThatOfItsBeginning(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]string{
		checkInBody[:len(checkInBody)-1]: "check_in_request", checkedIn + "}": "checked_in", checkedOut[:40]: "checked_out",
		"hello": unknown, `{"event":"coffee_break",`: unknown, `{"data":{"event":"signin_before"`: unknown,
	} {
		r := newRig(t)
		r.post("/sine/lobby", body)
		if r.results(kind, resultQuarantined) != 1 {
			t.Errorf("%s is not counted as %s", body, kind)
		}
		if log := r.log.String(); !strings.Contains(log, `"reason":"not_json"`) {
			t.Errorf("the log does not say why: %s", log)
		}
		if q := r.quarantined(t); q.Kind != "" {
			t.Errorf("%s is kept as if its URL named %s", body, q.Kind)
		}
	}
}

// mux redirects unclean paths by default, and a redirect aborts a check-in.
func TestRoutes_NoPathIsEverRedirected(t *testing.T) {
	t.Parallel()
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
func TestRoutes_WhatMatchesNothingIsCountedAndLogged(t *testing.T) {
	t.Parallel()
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
func TestRoutes_AWrongMethodIsNeverAnUnknownPath(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/sine/lobby", "/sine/lobby/", "/sine/lobby/check-in-request", "/sine/lobby/check-out-success/"} {
		w := r.post(path, "", func(req *http.Request) { req.Method = "GET" })
		if w.Code != 405 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// mux takes an encoded slash for a slash by default.
func TestRoutes_AnEncodedSlashIsNotASlash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if w := r.post("/sine/lobby%2Fcheck-in-success", checkedIn); w.Code != 401 {
		t.Errorf("answered %d", w.Code)
	}
}
