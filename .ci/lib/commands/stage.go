package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

const (
	password = "Zsecret"
	key      = "documented-key-0123456789"
)

// stage is all that the commands talk to.
type stage struct {
	programs, dir string
	nats          string // the server's URL
	monitor       string // and its monitoring port's
	webhook       string // the relay's
	admin         string // its admin listener
	reference     string // of a visitor whom a decider let in
	dev           dev
	stdin         string // of the command that is run
	running       []*exec.Cmd
	decider       *nats.Conn
	js            jetstream.JetStream // the administrator's
}

// dev is what `sine-relay dev` prints.
type dev struct{ nats, password, webhook, key string }

func build(programs string) (s *stage, err error) {
	programs, err = filepath.Abs(programs)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "commands")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS("deploy")); err != nil { // whose files commands name
		return nil, err
	}
	s = &stage{programs: programs, dir: dir}
	for _, step := range []func() error{s.startNATS, s.makeContexts, s.makeStreams, s.startRelay, s.decide, s.startDev, s.visitors} {
		if err := step(); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *stage) close() {
	if s.decider != nil {
		s.decider.Close()
	}
	for n := len(s.running) - 1; n >= 0; n-- {
		s.running[n].Process.Signal(syscall.SIGTERM)
		s.running[n].Wait()
	}
	os.RemoveAll(s.dir)
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// launch starts a program that prints into a file of its own.
func (s *stage) launch(log string, env []string, program string, words ...string) error {
	out, err := os.Create(s.path(log))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(s.programs, program), words...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.running = append(s.running, cmd)
	return nil
}

// wait returns what a file has once it has that.
func (s *stage) wait(file, pattern string) ([]string, error) {
	re := regexp.MustCompile(pattern)
	var text []byte
	for giveUp := time.Now().Add(30 * time.Second); time.Now().Before(giveUp); time.Sleep(20 * time.Millisecond) {
		text, _ = os.ReadFile(s.path(file))
		if m := re.FindStringSubmatch(string(text)); m != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s has no %s:\n%s", file, pattern, text)
}

// startNATS runs single.conf's server with the accounts, as deploy/nats/README.md says.
func (s *stage) startNATS() error {
	accounts, err := filepath.Abs("deploy/nats/accounts.conf")
	if err != nil {
		return err
	}
	text, err := os.ReadFile("deploy/nats/single.conf")
	if err != nil {
		return err
	}
	conf := strings.NewReplacer(`"0.0.0.0:4222"`, `"127.0.0.1:-1"`, `"/data"`, `"`+s.path("nats")+`"`).Replace(string(text))
	content, err := os.ReadFile(accounts)
	if err == nil {
		err = os.WriteFile(s.path("accounts.conf"), content, 0o600)
	}
	if err == nil {
		conf += "http: \"127.0.0.1:-1\"\ninclude ./accounts.conf\n"
		err = os.WriteFile(s.path("nats.conf"), []byte(conf), 0o600)
	}
	if err != nil {
		return err
	}
	var env []string
	for _, who := range []string{"RELAY", "DECIDER", "OPERATOR", "ADMIN", "CONSUMER", "DESK", "ROUTE"} {
		env = append(env, who+"_PASSWORD="+password)
	}
	if err := s.launch("nats.log", env, "nats-server", "-c", s.path("nats.conf")); err != nil {
		return err
	}
	m, err := s.wait("nats.log", `Starting http monitor on (127\.0\.0\.1:\d+)(?s:.*)Listening for client connections on (127\.0\.0\.1:\d+)(?s:.*)Server is ready`)
	if err != nil {
		return err
	}
	s.monitor, s.nats = "http://"+m[1], "nats://"+m[2]
	nc, err := nats.Connect(s.nats, nats.UserInfo("admin", password))
	if err != nil {
		return err
	}
	s.js, err = jetstream.New(nc)
	return err
}

// makeContexts are those that deploy/nats/README.md makes, which is tried again as
// one of its commands.
func (s *stage) makeContexts() error {
	for _, user := range []string{"admin", "operator"} {
		if out, err := s.execute(s.environment(), "nats", "context", "add", user, "--server", s.nats, "--user", user, "--password", password); err != nil {
			return fmt.Errorf("make context %s: %w\n%s", user, err, out)
		}
	}
	return nil
}

func (s *stage) makeStreams() error {
	files, err := filepath.Glob("deploy/nats/streams/*.json")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no streams: %w", err)
	}
	for _, file := range files {
		if out, err := s.execute(s.environment(), "nats", "--context", "admin", "stream", "add", "--config", file, "--replicas", "1"); err != nil {
			return fmt.Errorf("make %s: %w\n%s", file, err, out)
		}
	}
	return nil
}

// ofRelay are the settings of a relay's pod.
func (s *stage) ofRelay() []string {
	return settings("NATS_URL="+s.nats, "NATS_USER=relay", "NATS_PASSWORD="+password, "INTEGRATIONS_FILE="+s.path("integrations.yaml"),
		"KEYS_DIR="+s.path("keys"), "SPOOL_DIR="+s.path("spool"), "SPOOL_MAX_BYTES=64MiB", "LISTEN="+s.webhook, "ADMIN_LISTEN="+s.admin)
}

func (s *stage) ofOperator() []string {
	return settings("NATS_URL="+s.nats, "NATS_USER=operator", "NATS_PASSWORD="+password, "INTEGRATIONS_FILE="+s.path("integrations.yaml"), "KEYS_DIR="+s.path("empty"))
}

// ofDev are those of the operator in the second terminal, as README.md sets them.
func (s *stage) ofDev() []string {
	return settings("NATS_URL="+s.dev.nats, "NATS_USER=operator", "NATS_PASSWORD_FILE="+s.path(".sine-relay/nats-passwords/operator"))
}

func settings(all ...string) (env []string) {
	for _, one := range all {
		env = append(env, "SINE_RELAY_"+one)
	}
	return env
}

func (s *stage) startRelay() error {
	for name, text := range map[string]string{
		"integrations.yaml": "integrations:\n  - {name: hq-lobby, site: hq}\n", "keys/hq-lobby": key + "\n", "empty/.keep": "",
		"body.json":      `{"event":"signin_after","data":{"firstName":"Ada"}}`,
		"check-in.json":  `{"event":"signin_after","data":{"firstName":"Ada"}}`,
		"capture.log":    `{"msg":"capture","integration":"hq-lobby","shape":{"json":true,"fields":["data: object","data.vorname: string, up to 8 characters"]}}`,
		"check-out.json": `{"event":"signout_after","data":{"firstName":"Ada"}}`,
	} {
		if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	s.webhook, s.admin = "127.0.0.1:0", "127.0.0.1:0"
	if err := s.launch("relay.log", s.ofRelay(), "sine-relay", "serve", "--log-format=json"); err != nil {
		return err
	}
	m, err := s.wait("relay.log", `"msg":"sine-relay".*"listen":"([^"]+)".*"admin":"([^"]+)"`)
	if err != nil {
		return err
	}
	s.webhook, s.admin = m[1], m[2]
	for giveUp := time.Now().Add(30 * time.Second); time.Now().Before(giveUp); time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get("http://" + s.admin + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	log, _ := os.ReadFile(s.path("relay.log"))
	return fmt.Errorf("the relay is not ready:\n%s", log)
}

// decide lets everybody in, as the user that the accounts have for it.
func (s *stage) decide() (err error) {
	s.decider, err = nats.Connect(s.nats, nats.UserInfo("decider", password))
	if err != nil {
		return err
	}
	go subscriber.Decide(context.Background(), s.decider, subscriber.DeciderConfig{Sites: []string{"hq"}, Version: "1.0.0"},
		func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			return visit.Decision{Verdict: visit.Accept}, nil
		})
	return nil
}

func (s *stage) startDev() error {
	if err := s.launch("dev.log", settings("LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "NATS_LISTEN=127.0.0.1:0"), "sine-relay", "dev"); err != nil {
		return err
	}
	m, err := s.wait("dev.log", `Webhook +(\S+)\n +Key +(\S+)(?s:.*?)NATS +(nats://\S+)(?s:.*?)consumer +(\S+)(?s:.*)appear here`)
	if err != nil {
		return err
	}
	s.dev = dev{webhook: m[1], key: m[2], nats: m[3], password: m[4]}
	return nil
}

// visitors: one comes in, is checked in, and one whom nobody understands.
func (s *stage) visitors() error {
	url := "http://" + s.webhook + "/sine/hq-lobby"
	for giveUp := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		header, body, err := post(url, key, "signin_before", "")
		if err != nil {
			return err
		}
		s.reference = header.Get("Sine-Relay-Request-Id")
		if strings.Contains(body, "SUCCESS") {
			break
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("nobody is let in: %s", body)
		}
	}
	s.reference = s.reference[:5]
	if _, _, err := post(url, key, "signin_after", ""); err != nil {
		return err
	}
	_, _, err := post(url, key, "visitor_arrived", "")
	return err
}

func post(url, key, event, padding string) (http.Header, string, error) {
	return send(url, key, event, `"padding":`+strconv.Quote(padding))
}

// postOf sends a visitor of a company.
func postOf(url, key, event, company string) {
	send(url, key, event, `"company":`+strconv.Quote(company))
}

func send(url, key, event, more string) (http.Header, string, error) {
	body := fmt.Sprintf(`{"event":%q,"date":%q,"data":{"firstName":"Ada","lastName":"Lovelace",%s}}`, event, time.Now().UTC().Format(time.RFC3339), more)
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("x-sine-auth", key)
	req.Header.Set("content-type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.Header, string(text), err
}
