package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// operator runs the quarantine commands against a server.
type operator struct {
	t       *testing.T
	environ []string
}

func (o *operator) must(want string, args ...string) string {
	o.t.Helper()
	code, out, errOut := commandLine(o.environ, append([]string{"quarantine"}, args...)...)
	if code != exitOK || !regexp.MustCompile(want).MatchString(out) {
		o.t.Errorf("%v ended with %d:\n%s%s\nwant %s", args, code, out, errOut, want)
	}
	return out
}

// naming is an operator whose configuration knows one more event name.
func naming(t *testing.T, url, event, kind string) *operator {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "integrations.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "defaults: {kindAliases: {%s: %s}}\n", event, kind), 0o600); err != nil {
		t.Fatal(err)
	}
	return &operator{t, environment("NATS_URL="+url, "KEYS="+testKey, "INTEGRATIONS_FILE="+file)}
}

// A vendor renames an event. What came until the configuration knew the name is
// not lost.
func TestQuarantine_UnknownEventsAreReplayed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	p.must(200, "REJECTED", webhook("visitor_arrived", noon, "Zmark-1"))
	p.must(200, "REJECTED", webhook("visitor_arrived", noon, "Zmark-2"))
	p.must(200, "REJECTED", "Zmark nonsense")

	before := &operator{t, environment("NATS_URL="+server.URL(), "KEYS="+testKey)}
	listed := before.must(`(?s)not_json +default +1 .*unknown_event +default +2 +\S+T\S+ +\S+T\S+\n3 messages in`, "ls")
	listed += before.must(`(?s)1 .*unknown_event +default +default +\d+ B +[A-Z2-9]{20}\n2 messages`, "ls", "--all", "--reason", "unknown_event")
	listed += before.must(`replay +would stay: still not understood: unknown_event`, "show", "1")
	listed += before.must(`(?s)1 .*stays: still not.*0 would be stored, 3 stay\. Nothing`, "replay")
	before.must(`0 messages`, "ls", "--integration", "elsewhere")

	after := naming(t, server.URL(), "visitor_arrived", "checked_in")
	dry := after.must(`(?s)1 +\S+ +default +unknown_event +would store checked_in of site default, id [0-9a-f]{32}.*2 would be stored, 1 stay`, "replay")
	if n := len(stored(t, server.JetStream())); n != 0 {
		t.Errorf("the dry run stored %d events", n)
	}
	listed += dry + after.must(`1 stored, 0 duplicates, 0 failed, 0 stay`, "replay", "1", "--submit")
	listed += after.must(`1 stored, 1 duplicates, 0 failed, 1 stay`, "replay", "--submit")
	listed += after.must(`0 stored, 2 duplicates, 0 failed, 0 stay`, "replay", "--submit", "--reason", "unknown_event")
	if n := len(stored(t, server.JetStream())); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
	if strings.Contains(listed, "Zmark") {
		t.Errorf("personal data was printed:\n%s", listed)
	}
	if out := after.must(`Zmark-1`, "show", "--body", "1"); !strings.Contains(out, webhook("visitor_arrived", noon, "Zmark-1")) {
		t.Errorf("not the body as it came:\n%s", out)
	}

	after.must(`(?s)stored checked_in.*1 stored`, "replay", "2", "--again", "--submit", "--delete")
	after.must(`2 messages`, "ls")
	if n := len(stored(t, server.JetStream())); n != 3 {
		t.Errorf("%d events are stored, want 3", n)
	}
}

// A webhook that was understood all along, and kept because its body was cut, or
// that Sine sent twice: the id is the same on both ways.
func TestQuarantine_ReplayDetectsDuplicatesOfTheWebhook(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	body := webhook("visitor_arrived", noon, "Ada")
	p.must(200, "REJECTED", body)
	p.webhook += "/check-in-success"
	p.must(200, "eventId", body)
	naming(t, server.URL(), "visitor_arrived", "checked_in").must(`(?s)duplicate: already stored.*0 stored, 1 duplicates`, "replay", "--submit")
}

func TestQuarantine_CommandFailsWithAReasonAndExitCode(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	denied := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "nosy", Password: "p", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"x"}}}}}
	})
	away := natstest.Start(t)
	away.Stop()
	settings := func(url string) []string { return environment("NATS_URL="+url, "KEYS="+testKey) }
	for _, c := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		want    string
	}{
		{"without a stream", settings(s.URL()), []string{"ls"}, exitFailed, "stream VISITOR_QUARANTINE: .*not found"},
		{"without NATS", settings(away.URL()), []string{"ls"}, exitFailed, "connect to NATS at "},
		{"without an address", environment("KEYS="+testKey, "NATS_STORE_DIR="+t.TempDir()), []string{"ls"}, exitUsage, "SINE_RELAY_NATS_URL"},
		{"without permission", append(settings(denied.URL()), environment("NATS_USER=nosy", "NATS_PASSWORD=p")...), []string{"ls"}, exitFailed, `permission denied .*STREAM\.INFO`},
		{"an unknown reason", settings(s.URL()), []string{"ls", "--reason", "whim"}, exitUsage, `"whim" is not one of not_json, `},
		{"no sequence", settings(s.URL()), []string{"show"}, exitUsage, "needs <sequence>"},
		{"no number", settings(s.URL()), []string{"show", "first"}, exitUsage, `"first" is not the sequence`},
		{"to delete without storing", settings(s.URL()), []string{"replay", "--delete"}, exitUsage, "--delete needs --submit"},
		{"an unknown flag", settings(s.URL()), []string{"replay", "--force"}, exitUsage, "-force"},
		{"without integrations", environment("NATS_URL=" + s.URL()), []string{"ls"}, exitFailed, "stream VISITOR_QUARANTINE: .*not found"},
		{"a faulty configuration", nil, []string{"ls"}, exitUsage, "SINE_RELAY_NATS_URL"},
		{"to read again without integrations", environment("NATS_URL=" + s.URL()), []string{"replay"}, exitUsage, "SINE_RELAY_SITE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errOut := commandLine(c.environ, append([]string{"quarantine"}, c.args...)...)
			if code != c.code || !regexp.MustCompile(c.want).MatchString(errOut) {
				t.Errorf("ended with %d: %s%s\nwant %d and %s", code, out, errOut, c.code, c.want)
			}
		})
	}
	runServe(t, "NATS_URL="+s.URL()).ready()
	code, _, errOut := commandLine(settings(s.URL()), "quarantine", "show", "7")
	if code != exitFailed || !strings.Contains(errOut, "stream VISITOR_QUARANTINE has no message 7") {
		t.Errorf("ended with %d: %s", code, errOut)
	}
}

// Of a body that is too large the beginning is kept, and no caller learns that it is
// stored.
func TestQuarantine_KeepsTheBeginningOfATooLargeBody(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL(), "BODY_LIMIT=8KiB").ready()
	filler := strings.Repeat("Zmark", 2000)
	p.must(413, `"code":"TOO_LARGE"`, webhook("signin_after", noon, filler))
	p.must(200, `"code":"REJECTED","message":"Please see reception.`, webhook("signin_before", noon, filler))
	p.must(413, `"code":"REJECTED","message":"Please see reception.`, filler)
	if n := len(stored(t, server.JetStream())); n > 0 {
		t.Errorf("%d events are stored", n)
	}
	o := &operator{t, environment("NATS_URL="+server.URL(), "KEYS="+testKey)}
	o.must(`too_large +default +3 `, "ls", "--reason", "too_large")
	o.must(`(?s)reason +too_large.*size +8.0 KiB, the beginning of 9\.\d KiB\n.*replay +would stay: only the beginning was kept`, "show", "1")
	o.must(`0 stored, 0 duplicates, 0 failed, 3 stay`, "replay", "--submit")
	_, metrics := p.get("/metrics")
	for _, want := range []string{
		`sine_relay_events_settled_total{integration="default",result="quarantined"} 3`,
		`sine_relay_webhooks_total{integration="default",kind="checked_in",result="too_large"} 1`,
		`sine_relay_webhooks_total{integration="default",kind="check_in_request",result="too_large"} 1`,
		`sine_relay_webhooks_total{integration="default",kind="unknown",result="too_large"} 1`,
		`sine_relay_webhooks_refused_total{integration="default",reason="too_large"} 3`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics do not say %s", want)
		}
	}
	if strings.Contains(p.out.String()+p.err.String()+metrics, "Zmark") {
		t.Error("something personal was logged or counted")
	}
}

// An event that its stream refused is stored once the stream takes it.
func TestQuarantine_EventRefusedByTheStreamIsReplayed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	js := server.JetStream()
	p := runServe(t, "NATS_URL="+server.URL(), "SPOOL_DIR="+t.TempDir()).ready()
	limit := func(size int32) {
		t.Helper()
		stream, err := js.Stream(t.Context(), "VISITORS")
		if err != nil {
			t.Fatal(err)
		}
		cfg := stream.CachedInfo().Config
		cfg.MaxMsgSize = size
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	limit(2000)
	p.must(200, "eventId", webhook("signin_after", noon, strings.Repeat("Ada ", 1000)))
	o := &operator{t, environment("NATS_URL="+server.URL(), "KEYS="+testKey)}
	eventually(t, "it is set aside", func() bool {
		_, out, _ := commandLine(o.environ, "quarantine", "ls")
		return strings.Contains(out, "refused")
	})
	o.must(`refused on +visitors\.v1\.event\.default\.checked_in`, "show", "1")
	limit(-1)
	o.must(`1 stored`, "replay", "--submit")
	o.must(`1 duplicates`, "replay", "--submit")
}

func TestQuarantine_ForeignMessagesAreListed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	runServe(t, "NATS_URL="+server.URL()).ready()
	if _, err := server.JetStream().Publish(t.Context(), "visitors.v1.quarantine.hq", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	o := &operator{t, environment("NATS_URL="+server.URL(), "KEYS="+testKey)}
	o.must(`unknown: the header Sine-Relay-Request-Id is missing`, "ls")
	o.must(`stays: the header Sine-Relay-Request-Id is missing`, "replay", "--submit")
}

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
// is kept with its encoding and reported, and a replay reads what it can by then.
func TestQuarantine_CompressedBodiesAreReadAndReplayed(t *testing.T) {
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
	if accept := answered("br", "\x8b\x02\x80Zmark\x03", 415, "REJECTED").Header.Get("Accept-Encoding"); accept != "gzip, deflate" {
		t.Errorf("it is asked to accept %q", accept)
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
