package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// markedVisit is a webhook about a visitor with names that a terminal would obey.
func markedVisit(event string) string {
	body, err := json.Marshal(map[string]any{"event": event, "date": time.Now().UTC().Format(time.RFC3339Nano), "data": map[string]any{
		"firstName": "Zmark " + hostileLine, "lastName": "ZmarkLast", "email": "zmark@example.com", "company": "ZmarkCompany", "status": "expired",
		"host":          map[string]string{"firstName": "ZmarkHost", "lastName": "ZmarkHostLast"},
		"formResponses": map[string]any{"responses": []any{map[string]string{"label": "ZmarkLabel", "value": "ZmarkAnswer"}}},
	}})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// besideEmbedded runs a relay with the embedded NATS, and returns a folder of the
// operator's contexts, in which "hq" is his own.
func besideEmbedded(t *testing.T) (p *program, environ []string) {
	t.Helper()
	dir := t.TempDir()
	p = runServe(t, "NATS_STORE_DIR="+dir, "NATS_LISTEN=127.0.0.1:0", "SITE=hq").ready()
	url := signedIn(t, p, dir, "operator").Conn().ConnectedUrl()
	own := fmt.Sprintf(`{"url": %q, "user": "operator", "password": "file://%s"}`, url, filepath.Join(dir, "nats-passwords", "operator"))
	return p, withContexts(t, map[string]string{"hq": own})
}

func withContexts(t *testing.T, contexts map[string]string) (environ []string) {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range contexts {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"XDG_CONFIG_HOME=" + home}
}

func TestVisits_ShowHowEachWasAnsweredAndByWhom(t *testing.T) {
	t.Parallel()
	p, environ := besideEmbedded(t)
	p.must(http.StatusOK, "REJECTED", markedVisit("signin_before"))
	must(t, environ, "in force", "lockdown", "--context", "hq", "--site", "hq", "--by", "Ines")
	p.must(http.StatusOK, "REJECTED", markedVisit("signin_before"))
	p.must(http.StatusOK, "SUCCESS", markedVisit("signin_after"))
	p.must(http.StatusOK, "SUCCESS", markedVisit("signout_after"))
	visits := func(args ...string) (out string) {
		code, out, errOut := commandLine(environ, append([]string{"visits", "--context", "hq"}, args...)...)
		if code != exitOK || errOut != "" {
			t.Errorf("%v ended with %d: %s", args, code, errOut)
		}
		return out
	}
	eventually(t, "the records are stored", func() bool { return strings.Count(visits("--kind", "check_in_request"), "\n") == 3 })
	all := visits("--site", "hq", "--since", "1h")
	want := `(?s)^TIME .*check_in_request +hq +default +rejected +fallback of default +all: default rejected by fallback for no_decider +\w{5}\n` +
		`.*check_in_request +hq +default +rejected +lockdown of Ines +rejected by lockdown of hq +\w{5}\n` +
		`.*checked_in +hq +default +stored +\w{5}\n.*checked_out +hq +default +stored +the pass expired +\w{5}\n$`
	if !regexp.MustCompile(want).MatchString(all) {
		t.Errorf("%s\nwant %s", all, want)
	}
	if text := strings.ToLower(all + visits("--output", "json")); strings.Contains(text, marker) {
		t.Errorf("a visitor is named:\n%s", text)
	}
	for _, format := range []string{"table", "json"} {
		named := visits("--names", "--output", format)
		mustBePrintable(t, format, named)
		for _, name := range []string{"ZmarkLast", "ZmarkCompany", "ZmarkHost ZmarkHostLast"} {
			if strings.Count(named, name) < 2 {
				t.Errorf("%s is not named twice:\n%s", name, named)
			}
		}
		for _, never := range []string{"zmark@example.com", "ZmarkAnswer", "ZmarkLabel"} {
			if strings.Contains(named, never) {
				t.Errorf("%s is printed:\n%s", never, named)
			}
		}
	}
}

func TestVisits_PrintAnObjectOfStableFieldsALine(t *testing.T) {
	t.Parallel()
	p, environ := besideEmbedded(t)
	p.must(http.StatusOK, "SUCCESS", markedVisit("signout_after"))
	p.must(http.StatusOK, "REJECTED", markedVisit("signin_before"))
	read := func(args ...string) (rows []map[string]any) {
		out := must(t, environ, "", append([]string{"visits", "--context", "hq", "-o", "json"}, args...)...)
		for line := range strings.Lines(out) {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			rows = append(rows, row)
		}
		return rows
	}
	eventually(t, "both are stored", func() bool { return len(read()) == 2 })
	for args, want := range map[string]string{
		"--kind checked_out":         "cause integration kind reference requestId result site stored time",
		"--kind checked_out --names": "cause company host integration kind reference requestId result site stored time visitor",
		"--kind check_in_request":    "by decider integration kind reference requestId result rule site situation stored time tookMs",
	} {
		rows := read(strings.Fields(args)...)
		if got := strings.Join(slices.Sorted(maps.Keys(rows[0])), " "); len(rows) != 1 || got != want {
			t.Errorf("%s: %d rows with\n%s, want\n%s", args, len(rows), got, want)
		}
	}
}

func TestVisits_SayWhereThereAreNone(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	fails(t, environ, "no stream for the subject", "visits")
	runServe(t, "NATS_URL="+server.URL()).ready()
	code, out, errOut := commandLine(environ, "visits", "--site", "attic", "--since", "2d")
	if code != exitOK || out != "" || !strings.Contains(errOut, "No check-in requests or events of site attic since 20") {
		t.Errorf("ended with %d: %s%s", code, out, errOut)
	}
	endsWith(t, exitUsage, environ, `"a.b" is not the name of a site`, "visits", "--site", "a.b")
	endsWith(t, exitUsage, environ, `"check_out" is not one of check_in_request, checked_in, checked_out`, "visits", "--kind", "check_out")
	// What somebody else wrote there is shown as such, and nothing of it.
	if _, err := server.JetStream().Publish(t.Context(), "visitors.v1.event.attic.checked_in", []byte("Zmark")); err != nil {
		t.Fatal(err)
	}
	out = must(t, environ, `checked_in +attic +unreadable +message 1 of stream VISITORS cannot be read`, "visits")
	if strings.Contains(out, "Zmark") {
		t.Error(out)
	}
}

func TestTail_PrintsRowsAsTheyComeUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	p, environ := besideEmbedded(t)
	p.must(http.StatusOK, "SUCCESS", markedVisit("signin_after")) // before
	var out, errOut logtest.Buffer
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		args := []string{"tail", "--context", "hq", "--site", "hq", "--output", "json"}
		ended <- cli.Run(ctx, cli.Process{Args: args, Environ: environ, Stdout: &out, Stderr: &errOut})
	}()
	eventually(t, "it says what it follows", func() bool {
		return strings.Contains(errOut.String(), "Following check-in requests and events of site hq at nats://")
	})
	p.must(http.StatusOK, "SUCCESS", markedVisit("signout_after"))
	eventually(t, "the row is there", func() bool { return strings.HasSuffix(out.String(), "\n") })
	var row struct{ Kind visit.Kind }
	if err := json.Unmarshal([]byte(out.String()), &row); err != nil || row.Kind != visit.KindCheckedOut {
		t.Errorf("%s: %v", out.String(), err)
	}
	interrupt()
	if code := <-ended; code != exitOK {
		t.Errorf("it ended with %d: %s", code, errOut.String())
	}
	if text := strings.ToLower(out.String() + errOut.String()); strings.Contains(text, marker) {
		t.Errorf("a visitor is named:\n%s", text)
	}
}

// An operator types no URL twice.
func TestContext_IsUnderstoodByEachCommandThatNeedsNATS(t *testing.T) {
	t.Parallel()
	_, environ := besideEmbedded(t)
	for _, with := range [][]string{
		append(environ, "SINE_RELAY_NATS_URL=nats://127.0.0.1:1", "SINE_RELAY_NATS_TOKEN=another"), // which a flag outweighs
		append(environ, "NATS_CONTEXT=hq"),
	} {
		for _, c := range []struct {
			line string
			code int
		}{
			{"orders", exitOK}, {"deciders", exitFailed}, {"visits", exitOK}, {"quarantine ls", exitOK}, {"explain 22222", exitFailed},
			{"ask --site hq", exitFailed}, {"lockdown --site hq", exitOK}, {"lockdown lift --site hq", exitOK},
			{"override --site hq --accept --for 1m --reason test", exitOK}, {"override lift --site hq", exitOK},
		} {
			args := strings.Fields(c.line)
			if len(with) > 2 {
				args = append(args, "--context", "hq")
			}
			if code, out, errOut := commandLine(with, args...); code != c.code || strings.Contains(errOut, "connect to NATS") {
				t.Errorf("%v ended with %d:\n%s%s", args, code, out, errOut)
			}
		}
	}
	endsWith(t, exitUsage, environ, `NATS context "hqq": no such context in .*; did you mean hq\?; contexts: hq`, "orders", "--context", "hqq")
	endsWith(t, exitUsage, environ, `SINE_RELAY_NATS_URL: is required: .*, or choose a context of the nats command with --context: hq`, "orders")
	endsWith(t, exitUsage, append(environ, "NATS_CONTEXT=hqq"), `no such context`, "orders")
	endsWith(t, exitUsage, environ, `unknown flag --context`, "serve", "--context", "hq")
}
