package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

func gzipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sends sends a body with a content encoding and returns what it was answered.
func (p *program) sends(encoding, body string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.webhook, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("x-sine-auth", testKey)
	req.Header.Set("Content-Encoding", encoding)
	answer, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer, string(text)
}

// A proxy begins to compress. What the relay reads is stored, what it does not read
// is kept with its encoding and told, and a replay reads what it can by then.
func TestCompressedBodiesAreReadAndReplayed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL(), "BODY_LIMIT=8KiB").ready()
	answered := func(encoding, body string, status int, contains string) *http.Response {
		t.Helper()
		answer, text := p.sends(encoding, body)
		if answer.StatusCode != status || !strings.Contains(text, contains) {
			t.Errorf("%s: answered %d %s, want %d with %s", encoding, answer.StatusCode, text, status, contains)
		}
		return answer
	}
	answered("gzip", gzipped(t, webhook("signin_after", noon, "Ada")), 200, "eventId")
	p.must(200, "eventId", "\ufeff"+webhook("signin_after", noon, "Bob"))
	large := webhook("signin_after", noon, strings.Repeat("Zmark", 2000))
	answered("gzip", gzipped(t, large), 413, "TOO_LARGE")
	answered("gzip", gzipped(t, webhook("visitor_arrived", noon, "Zmark")), 200, "REJECTED")
	if told := answered("br", "\x8b\x02\x80Zmark\x03", 415, "REJECTED").Header.Get("Accept-Encoding"); told != "gzip, deflate" {
		t.Errorf("it is told to accept %q", told)
	}
	if n := len(stored(t, server.JetStream())); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}

	higher := naming(t, server.URL(), "visitor_arrived", "checked_in")
	alike := &operator{t, append(higher.environ, environment("BODY_LIMIT=8KiB")...)}
	alike.must(`(?s)1 +\S+ +default +too_large +stays: still not understood: too_large.*2 +\S+ +default +unknown_event +would store`, "replay", "1", "2")
	higher.must(`(?s)too_large +stored checked_in.*unknown_event +stored checked_in.*unknown_encoding +stays: still not understood: unknown_encoding.*2 stored, 0 duplicates, 0 failed, 1 stay`, "replay", "--submit")
	higher.must(`(?s)reason +too_large.*size +\d{2,3} B\ncontent encoding +gzip\nreplay +would become checked_in`, "show", "1")
	if out := higher.must("Zmark", "show", "--body", "1"); !strings.Contains(out, large) {
		t.Errorf("not what Sine sent:\n%s", out)
	}
	if n := len(stored(t, server.JetStream())); n != 4 {
		t.Errorf("%d events are stored, want 4", n)
	}
	if strings.Contains(p.out.String()+p.err.String(), "Zmark") {
		t.Error("something personal was logged")
	}
}
