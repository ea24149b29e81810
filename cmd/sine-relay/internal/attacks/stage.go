//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// The relay has ninety lobbies, as a large customer would: their metrics are what
// a scrape costs.
const (
	lobbies      = 90
	honestLobby  = "lobby-00"
	hostileLobby = "lobby-01"
)

func keyOf(lobby string) string { return "a-key-of-" + lobby + "-0123456789" }

// patience bounds what is waited for; it is far above what anything needs.
const patience = 60 * time.Second

// stage is a relay with its NATS and a decider.
type stage struct {
	dir         string
	nats, relay *process
	natsURL     string
	public      string // its address
	admin       string
	tls         bool
	decider     *nats.Conn
	stop        context.CancelFunc
}

func startStage(ctx context.Context, o options, a assault) (_ *stage, err error) {
	s := &stage{tls: a.TLS}
	if s.dir, err = os.MkdirTemp("", "sine-relay-attacks-"); err != nil {
		return nil, err
	}
	ctx, s.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			s.end()
		}
	}()
	if err := s.startNATS(ctx, o.nats); err != nil {
		return nil, err
	}
	if err := s.startDecider(ctx); err != nil {
		return nil, err
	}
	return s, s.startRelay(ctx, o.relay, a)
}

func (s *stage) end() {
	s.stop()
	for _, p := range []*process{s.relay, s.nats} {
		if p != nil {
			p.kill()
		}
	}
	if s.decider != nil {
		s.decider.Close()
	}
	os.RemoveAll(s.dir)
}

func (s *stage) startNATS(ctx context.Context, binary string) (err error) {
	conf := filepath.Join(s.dir, "nats.conf")
	text := fmt.Sprintf("listen: \"127.0.0.1:-1\"\nports_file_dir: %q\njetstream { store_dir: %q, max_file_store: 16GB }\n", s.dir, filepath.Join(s.dir, "store"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	if s.nats, err = launch(exec.CommandContext(ctx, binary, "-c", conf), filepath.Join(s.dir, "nats.log")); err != nil {
		return err
	}
	file := filepath.Join(s.dir, fmt.Sprintf("nats-server_%d.ports", s.nats.pid()))
	return await("NATS listens", func() bool {
		var ports struct{ NATS []string }
		content, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(content, &ports) != nil || len(ports.NATS) == 0 {
			return false
		}
		s.natsURL = ports.NATS[0]
		return true
	})
}

// startDecider lets everybody in.
func (s *stage) startDecider(ctx context.Context) (err error) {
	if s.decider, err = nats.Connect(s.natsURL, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})); err != nil {
		return err
	}
	ready := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		failed <- subscriber.Decide(ctx, s.decider, subscriber.DeciderConfig{
			Sites: []string{honestLobby, hostileLobby}, Version: "1.0.0", OnReady: func() { close(ready) },
		}, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome"}, nil
		})
	}()
	select {
	case <-ready:
		return nil
	case err := <-failed:
		return errors.Join(err, errors.New("the decider ended"))
	}
}

// settings are those of the chart, but for ports.
func (s *stage) settings(a assault) ([]string, error) {
	keys := filepath.Join(s.dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		return nil, err
	}
	file := strings.Builder{}
	file.WriteString("integrations:\n")
	for n := range lobbies {
		lobby := fmt.Sprintf("lobby-%02d", n)
		fmt.Fprintf(&file, "  - {name: %s}\n", lobby)
		if err := os.WriteFile(filepath.Join(keys, lobby), []byte(keyOf(lobby)+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	integrations := filepath.Join(s.dir, "integrations.yaml")
	if err := os.WriteFile(integrations, []byte(file.String()), 0o600); err != nil {
		return nil, err
	}
	all := []string{
		"LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "NATS_URL=" + s.natsURL, "SPOOL_DIR=" + filepath.Join(s.dir, "spool"),
		"INTEGRATIONS_FILE=" + integrations, "KEYS_DIR=" + keys, "LOG_FORMAT=json",
	}
	limit := "8GiB" // more than the attack sends, or the stream would be full half-way
	if a.FullStream {
		limit = "1MiB"
	}
	all = append(all, "EVENT_STREAM_MAX_BYTES="+limit)
	if a.TLS {
		cert, key, err := certificate(s.dir)
		if err != nil {
			return nil, err
		}
		all = append(all, "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key)
	}
	return all, nil
}

func (s *stage) startRelay(ctx context.Context, binary string, a assault) error {
	settings, err := s.settings(a)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, fmt.Sprintf("GOMEMLIMIT=%d", int64(collectorLimit))}
	for _, setting := range settings {
		cmd.Env = append(cmd.Env, "SINE_RELAY_"+setting)
	}
	if s.relay, err = launch(cmd, filepath.Join(s.dir, "relay.log")); err != nil {
		return err
	}
	err = await("the relay is ready", func() bool {
		if s.public == "" && !s.announced() {
			return s.relay.over()
		}
		_, text := s.get("/readyz")
		return text == "ready\n" || s.relay.over()
	})
	if err != nil || s.relay.over() {
		return errors.Join(err, fmt.Errorf("the relay does not start:\n%s", s.relay.tail()))
	}
	return nil
}

// announced reads the addresses from the line that is logged at the start.
func (s *stage) announced() bool {
	for line := range strings.Lines(s.relay.output()) {
		var start struct{ Msg, Listen, Admin string }
		if json.Unmarshal([]byte(line), &start) == nil && start.Msg == "sine-relay" {
			s.public, s.admin = start.Listen, start.Admin
			return true
		}
	}
	return false
}

func (s *stage) webhook(lobby string) string {
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	return scheme + "://" + s.public + "/sine/" + lobby
}

func (s *stage) get(path string) (status int, text string) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + s.admin + path)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, ""
	}
	return answer.StatusCode, string(content)
}

// connections are those of the public listener.
type connections struct{ now, limit int }

var connectionsNow = regexp.MustCompile(`(?m)^sine_relay_connections\{listener="public"\} (\d+)$`)
var connectionsLimit = regexp.MustCompile(`(?m)^sine_relay_connections_limit\{listener="public"\} (\d+)$`)

// openConnections is nil where the relay does not answer, or does not know.
func (s *stage) openConnections() *connections {
	_, metrics := s.get("/metrics")
	now, limit := connectionsNow.FindStringSubmatch(metrics), connectionsLimit.FindStringSubmatch(metrics)
	if now == nil || limit == nil {
		return nil
	}
	c := &connections{}
	c.now, _ = strconv.Atoi(now[1]) // the expression lets digits in only
	c.limit, _ = strconv.Atoi(limit[1])
	return c
}

func await(what string, condition func() bool) error {
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			return fmt.Errorf("not in %s: %s", patience, what)
		case <-tick.C:
		}
	}
	return nil
}
