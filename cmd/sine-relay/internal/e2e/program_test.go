package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const testKey = "test-key-0123456789"

const patience = wait.Limit

var eventually = wait.Until

// program is the command, running in the test's process.
type program struct {
	t              *testing.T
	stop           context.CancelFunc
	ended          chan struct{}
	code           int
	out, err       logtest.Buffer
	webhook, admin string
	client         http.Client // the connections of those who call it
}

// runServe runs `serve` with settings like "NATS_URL=…", and returns once it
// listens.
func runServe(t *testing.T, settings ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{t: t, stop: stop, ended: make(chan struct{})}
	p.client.Transport = &http.Transport{MaxIdleConnsPerHost: 600} // as many as there are callers at once
	environ := environment(append([]string{"LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "DRAIN_DELAY=0s", "KEYS=" + testKey}, settings...)...)
	go func() {
		defer close(p.ended)
		p.code = cli.Run(ctx, cli.Process{Args: []string{"serve"}, Environ: environ, Stdout: &p.out, Stderr: &p.err})
	}()
	t.Cleanup(func() { p.end() })
	eventually(t, "the program listens", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("it ended with %d: %s%s", p.code, p.out.String(), p.err.String())
		default:
		}
		return p.findAddresses()
	})
	return p
}

func environment(settings ...string) []string {
	var environ []string
	for _, s := range settings {
		environ = append(environ, "SINE_RELAY_"+s)
	}
	return environ
}

// findAddresses reads them from the line that is logged at the start.
func (p *program) findAddresses() bool {
	for line := range strings.Lines(p.out.String()) {
		var start struct{ Msg, Listen, Admin string }
		if json.Unmarshal([]byte(line), &start) == nil && start.Msg == "sine-relay" {
			p.webhook, p.admin = "http://"+start.Listen+"/sine/default", "http://"+start.Admin
			return true
		}
	}
	return false
}

// end stops the program as a signal would, and returns its exit code. A server that
// stops waits for connections that were made and never used.
func (p *program) end() int {
	p.client.CloseIdleConnections()
	p.stop()
	<-p.ended
	return p.code
}

// ready waits until the program says that it is.
func (p *program) ready() *program {
	p.t.Helper()
	eventually(p.t, "ready", func() bool {
		code, body := p.get("/readyz")
		return code == http.StatusOK && body == "ready\n"
	})
	return p
}

func (p *program) get(path string) (int, string) {
	p.t.Helper()
	answer, err := p.client.Get(p.admin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// post sends a webhook and returns the answer.
func (p *program) post(body string) (int, string, error) {
	req, err := http.NewRequest(http.MethodPost, p.webhook, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("x-sine-auth", testKey)
	req.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// must is post where nothing but this answer will do.
func (p *program) must(status int, contains, body string) string {
	p.t.Helper()
	code, text, err := p.post(body)
	if err != nil || code != status || !strings.Contains(text, contains) {
		p.t.Fatalf("answered %d %s %v, want %d with %s", code, text, err, status, contains)
	}
	return text
}

func webhook(event, date, name string) string {
	return fmt.Sprintf(`{"event":%q,"date":%q,"data":{"firstName":%q}}`, event, date, name)
}

const noon = "2026-11-18T12:00:00Z"

// stored returns how often each event id is in the stream.
func stored(t *testing.T, js jetstream.JetStream) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := js.Stream(ctx, "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	state := stream.CachedInfo().State
	for seq := max(1, state.FirstSeq); seq <= state.LastSeq; seq++ {
		m, err := stream.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		ids[m.Header.Get("Nats-Msg-Id")]++
	}
	return ids
}

// programs is where the real binary is built.
var programs = filepath.Join(os.TempDir(), fmt.Sprintf("sine-relay-e2e-%d", os.Getpid()))

// TestMain lets the benchmarks run this binary in other roles, each in a process
// of its own.
func TestMain(m *testing.M) {
	if role := os.Getenv("BENCH_ROLE"); role != "" {
		os.Exit(playRole(role))
	}
	flag.Parse()
	wait.Widen()
	wrong := judgeMessages()
	code := m.Run()
	if err := wrong(); err != nil {
		fmt.Fprintf(os.Stderr, "a message was published to an embedded NATS server that is wrong: %v\n", err)
		code = 1
	}
	os.RemoveAll(programs)
	os.Exit(code)
}
