package relay

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/visit"
)

// marked is a visitor whose every datum can be recognised. It also tries the
// subject and the headers.
const marked = `{"event":"EVENT","date":"2026-11-18T21:42:31ZZmarkDate","id":"ZmarkOuter","data":{"firstName":"ZmarkFirst.>","lastName":"ZmarkLast",` +
	`"email":"zmark@example.com","mobile":"ZmarkMobile","company":"ZmarkCompany","photoURL":"https://zmark.example/","passType":"ZmarkType","status":"ZmarkStatus",` +
	`"site":"ZmarkSite","host":{"firstName":"ZmarkHost","lastName":"ZmarkHostLast","hostGroupName":"ZmarkGroup"},` +
	`"formResponses":{"responses":[{"label":"ZmarkLabel","value":"ZmarkAnswer"}]}}}`

func TestPrivacy_NothingPersonalLeavesButInTheMessage(t *testing.T) {
	t.Parallel()
	var everything strings.Builder
	for _, event := range []string{"signin_before", "signin_after", "signout_after", "ZmarkEvent"} {
		for _, failing := range []bool{false, true} {
			for _, path := range []string{"/sine/lobby", "/sine/lobby/check-in-success", "/sine/zmark", "/zmark"} {
				body := strings.Replace(marked, "EVENT", event, 1)
				everything.WriteString(traces(t, path, body, failing))
				everything.WriteString(traces(t, path, body[:len(body)-3], failing))                // no JSON
				everything.WriteString(traces(t, path, body+strings.Repeat(" ", 300<<10), failing)) // too large
				other := strings.Replace(body, "ZmarkLast", "ZmarkOther", 1)
				everything.WriteString(traces(t, path, strings.ReplaceAll(body, "ZZmarkDate", "Z"), failing, strings.ReplaceAll(other, "ZZmarkDate", "Z")))
			}
		}
	}
	if found := strings.Index(strings.ToLower(everything.String()), "zmark"); found >= 0 {
		all := everything.String()
		t.Errorf("something personal leaked: …%s…", all[max(0, found-200):min(len(all), found+100)])
	}
}

// traces is everything that a call leaves behind beside the message's data:
// log, metrics, subject, headers, and the answer.
func traces(t *testing.T, path, body string, failing bool, before ...string) string {
	t.Helper()
	r := newRig(t)
	if failing {
		r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
			return visit.Decision{}, errors.New("broken")
		}
		r.broker.publish = func(context.Context, visit.Message) (visit.Receipt, error) { panic(body) }
	}
	for _, earlier := range before {
		r.post(path, earlier)
	}
	w := r.post(path, body, func(req *http.Request) { req.Header.Set("User-Agent", "ZmarkAgent") })
	var out strings.Builder
	out.WriteString(w.Body.String())
	w.Header().Write(&out)
	out.WriteString(r.log.String())
	out.Write(gather(t, r))
	for _, m := range append(r.broker.asked, r.broker.published...) {
		out.WriteString(m.Subject + m.ID)
		for name, values := range m.Header {
			out.WriteString(name + strings.Join(values, ""))
		}
	}
	return out.String()
}

// NATS obeys headers like Nats-Rollup; none of a caller's may reach a message.
func TestPrivacy_NoHTTPHeaderIsCopiedThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ours := map[string]bool{}
	for _, body := range []string{checkInBody, checkedIn, "nonsense"} {
		r.post("/sine/lobby", body)
	}
	for _, m := range append(r.broker.asked, r.broker.published...) {
		for name := range m.Header {
			ours[name] = true
		}
	}
	hostile := newRig(t)
	for _, body := range []string{checkInBody, checkedIn, "nonsense"} {
		hostile.post("/sine/lobby", body, func(req *http.Request) {
			for _, name := range []string{"Nats-Rollup", "Nats-Msg-Id", "Nats-Expected-Stream", "Nats-TTL", "ce-id", "Traceparent"} {
				req.Header.Set(name, "Zmark")
			}
		})
	}
	for _, m := range append(hostile.broker.asked, hostile.broker.published...) {
		for name, values := range m.Header {
			if !ours[name] || strings.Contains(strings.Join(values, ""), "Zmark") {
				t.Errorf("%s: %s came through", name, values)
			}
		}
	}
}

const (
	proxyRequestID = "2f1f0c8e-5b8a-4d8f-9b57-0f4d6d1c7a11"
	traceparent    = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

func traced(req *http.Request) {
	req.Header.Set("X-Request-Id", proxyRequestID)
	req.Header.Set("traceparent", traceparent)
}

// trustTheCaller trusts the address that httptest calls from.
func trustTheCaller(cfg *Config) {
	cfg.Proxies = clientip.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
}

func TestTrace_IsTakenFromATrustedProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t, trustTheCaller)
	for _, body := range []string{checkInBody, checkedIn, "hello"} {
		w := r.post("/sine/lobby", body, traced)
		if got := w.Header(); got.Get("X-Request-Id") != proxyRequestID || got.Get("Traceparent") != traceparent || len(got.Get("Sine-Relay-Request-Id")) != 20 {
			t.Errorf("the answer has the header %v", got)
		}
	}
	eventually(t, "the decisions are recorded", func() bool { r.broker.mu.Lock(); defer r.broker.mu.Unlock(); return len(r.broker.records) == 2 })
	messages := slices.Concat(r.broker.asked, r.broker.published, r.broker.records)
	if len(messages) != 5 {
		t.Errorf("%d messages", len(messages))
	}
	for _, m := range messages {
		if visit.TraceFromHeaders(m.Header) != visit.NewTrace(proxyRequestID, traceparent) {
			t.Errorf("%s has the header %v", m.Subject, m.Header)
		}
		var said struct{ Trace visit.Trace }
		if err := json.Unmarshal(m.Data, &said); m.Root != visit.RootQuarantine && (err != nil || said.Trace != visit.TraceFromHeaders(m.Header)) {
			t.Errorf("%s says %+v, %v", m.Subject, said, err)
		}
	}
	if log := r.log.String(); strings.Count(log, `"x_request_id":"`+proxyRequestID) != 3 || strings.Count(log, `"trace_id":"`+traceparent[3:35]) != 3 {
		t.Errorf("the log has not all of it: %s", log)
	}
}

// Replayed from the quarantine, an event has the trace of its call.
func TestTrace_AReplayKeepsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, trustTheCaller)
	r.post("/sine/lobby", strings.Replace(checkedIn, "signin_after", "visitor_arrived", 1), traced)
	m := r.broker.published[0]
	q, err := visit.ParseQuarantined(m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := NewReader(testIntegrations(Integration{Name: "lobby", Events: map[string]visit.Kind{"visitor_arrived": visit.KindCheckedIn}}), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := reader.Event(q); err != nil || e.Trace != visit.NewTrace(proxyRequestID, traceparent) {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestTrace_IsNotTakenFromAnybodyElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config func(*Config)
		change func(*http.Request)
	}{
		"a stranger":              {func(*Config) {}, traced},
		"a stranger past a proxy": {trustTheCaller, func(req *http.Request) { traced(req); req.RemoteAddr = "198.51.100.7:1234" }},
		"the proxy and a stranger": {trustTheCaller, func(req *http.Request) {
			req.Header["X-Request-Id"] = []string{proxyRequestID, proxyRequestID}
			req.Header["Traceparent"] = []string{traceparent, traceparent}
		}},
		"a proxy that passes a name on": {trustTheCaller, func(req *http.Request) {
			req.Header.Set("X-Request-Id", "Ada Lovelace, 1815-12-10")
			req.Header.Set("Traceparent", "Ada Lovelace")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.config)
			w := r.post("/sine/lobby", checkedIn, c.change)
			if w.Code != 200 || w.Header().Get("X-Request-Id") != "" || w.Header().Get("Traceparent") != "" {
				t.Errorf("answered %d with %v", w.Code, w.Header())
			}
			m := r.broker.published[0]
			if visit.TraceFromHeaders(m.Header) != (visit.Trace{}) || strings.Contains(string(m.Data), `"trace"`) {
				t.Errorf("taken up: %v %s", m.Header, m.Data)
			}
			if log := r.log.String(); strings.Contains(log, "trace_id") || strings.Contains(log, "x_request_id") || strings.Contains(log, "Ada") {
				t.Errorf("the log has it: %s", log)
			}
		})
	}
}

// What is not the body is names, ids and headers: the longest of each leave room.
func TestTrace_TheLargestMessageHasRoomForIt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	zone, err := time.LoadLocation("America/Argentina/ComodRivadavia")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, trustTheCaller, func(cfg *Config) {
		cfg.Integrations = []Integration{{Name: long, Site: long, Zone: zone, Keys: []Key{NewKey("first", testKey)}}}
	})
	body := `{"event":"signout_after","date":"2026-11-18T21:42:31.123456789+13:45","data":{"id":"` + strings.Repeat("1", 128) + `"}}`
	r.post("/sine/"+long, body, func(req *http.Request) {
		traced(req)
		req.Header.Set("X-Request-Id", strings.Repeat("1", 128))
	})
	m := r.broker.published[0]
	size := len(m.Subject) + len(m.Data) - len(body)
	for name, values := range m.Header {
		size += len(name) + len(values[0]) + 4
	}
	if size > 4096-512 || m.Header[visit.HeaderXRequestID] == nil {
		t.Errorf("%d bytes beside the body", size)
	}
}
