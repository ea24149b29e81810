package relay

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

// marked is a visitor whose every datum can be recognised. It also tries the
// subject and the headers.
const marked = `{"event":"EVENT","date":"2026-11-18T21:42:31ZZmarkDate","id":"ZmarkOuter","data":{"firstName":"ZmarkFirst.>","lastName":"ZmarkLast",` +
	`"email":"zmark@example.com","mobile":"ZmarkMobile","company":"ZmarkCompany","photoURL":"https://zmark.example/","passType":"ZmarkType","status":"ZmarkStatus",` +
	`"site":"ZmarkSite","host":{"firstName":"ZmarkHost","lastName":"ZmarkHostLast","hostGroupName":"ZmarkGroup"},` +
	`"formResponses":{"responses":[{"label":"ZmarkLabel","value":"ZmarkAnswer"}]}}}`

func TestNothingPersonalLeavesButInTheMessage(t *testing.T) {
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
func TestTrap_NoHTTPHeaderIsCopiedThrough(t *testing.T) {
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
