package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
)

const (
	password = "Zsecret"
	key      = "key-of-the-examples-check"
)

// rig is a NATS with the accounts of deploy/nats, a relay, and the watchlist that deciders ask.
type rig struct {
	programs, dir string
	processes     []*process.Process
	nats          *process.Process
	address       string // of NATS
	webhook       string // the relay's integration
	admin         string // its admin listener
	watchlist     *watchlist
	js            jetstream.JetStream // the administrator's
	nc            *nats.Conn
}

func newRig(programs string) (r *rig, err error) {
	r = &rig{watchlist: newWatchlist()}
	if r.programs, err = filepath.Abs(programs); err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "examples"); err != nil {
		return nil, err
	}
	for _, step := range []func() error{r.configureNATS, r.startNATS, r.makeStreams, r.startRelay} {
		if err := step(); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *rig) close() error {
	if r.nc != nil {
		r.nc.Close()
	}
	r.watchlist.close()
	var failed []error
	for n := len(r.processes) - 1; n >= 0; n-- {
		if r.processes[n].Running() {
			failed = append(failed, r.processes[n].End(syscall.SIGTERM))
		}
	}
	return errors.Join(append(failed, os.RemoveAll(r.dir))...)
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// launch starts a program, whose log has that name.
func (r *rig) launch(name string, env []string, program string, words ...string) (*process.Process, error) {
	if own := filepath.Join(r.programs, program); exists(own) {
		program = own
	}
	cmd := exec.Command(program, words...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	p, err := process.Launch(r.path(name+".log"), cmd)
	if err == nil {
		r.processes = append(r.processes, p)
	}
	return p, err
}

// start starts an example that connects to NATS as that user.
func (r *rig) start(e example, user string, env ...string) (*process.Process, error) {
	env = append(env, "NATS_URL="+r.address, "NATS_USER="+user, "NATS_PASSWORD="+password, "PYTHONPATH="+os.Getenv("PYTHONPATH"))
	return r.launch(e.name, env, e.words[0], e.words[1:]...)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// configureNATS writes what deploy/nats/README.md says of one server with accounts.
func (r *rig) configureNATS() error {
	text, err := os.ReadFile("deploy/nats/single.conf")
	accounts, accountsErr := os.ReadFile("deploy/nats/accounts.conf")
	if err := errors.Join(err, accountsErr); err != nil {
		return err
	}
	conf := strings.NewReplacer(`"0.0.0.0:4222"`, `"127.0.0.1:-1"`, `"/data"`, `"`+r.path("nats")+`"`).Replace(string(text))
	return errors.Join(os.WriteFile(r.path("nats.conf"), []byte(conf+"include ./accounts.conf\n"), 0o600),
		os.WriteFile(r.path("accounts.conf"), accounts, 0o600))
}

var listening = regexp.MustCompile(`Listening for client connections on (127\.0\.0\.1:\d+)(?s:.*)Server is ready`)

// startNATS returns once the server is ready. After the first start it has the port of that.
func (r *rig) startNATS() (err error) {
	var env []string
	for _, user := range []string{"RELAY", "DECIDER", "OPERATOR", "ADMIN", "CONSUMER", "DESK"} {
		env = append(env, user+"_PASSWORD="+password)
	}
	if r.nats != nil {
		os.Remove(r.nats.Log)
	}
	if r.nats, err = r.launch("nats", env, "nats-server", "-c", r.path("nats.conf")); err != nil {
		return err
	}
	var m []string
	if err := process.Await("NATS is ready", 20*time.Second, func() bool {
		m = listening.FindStringSubmatch(r.nats.Printed())
		return m != nil
	}); err != nil || r.address != "" {
		return err
	}
	r.address = m[1]
	conf, err := os.ReadFile(r.path("nats.conf"))
	if err != nil {
		return err
	}
	return os.WriteFile(r.path("nats.conf"), []byte(strings.Replace(string(conf), "127.0.0.1:-1", r.address, 1)), 0o600)
}

// killNATS ends the server as a crash does, and starts it again.
func (r *rig) killNATS() error { return errors.Join(r.nats.End(syscall.SIGKILL), r.startNATS()) }

// makeStreams makes what the administrator makes.
func (r *rig) makeStreams() (err error) {
	if r.nc, err = nats.Connect(r.address, nats.UserInfo("admin", password), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond)); err != nil {
		return err
	}
	if r.js, err = jetstream.New(r.nc); err != nil {
		return err
	}
	files, err := filepath.Glob("deploy/nats/streams/*.json")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no streams: %w", err)
	}
	for _, file := range files {
		var config jetstream.StreamConfig
		if err := readJSON(file, &config); err != nil {
			return err
		}
		config.Replicas = 1
		if _, err := r.js.CreateStream(context.Background(), config); err != nil {
			return fmt.Errorf("make %s: %w", config.Name, err)
		}
	}
	return r.makeDurable()
}

// makeDurable makes the durable, or makes it anew. What a consumer did not acknowledge
// comes again earlier than with the file's ack_wait.
func (r *rig) makeDurable() error {
	var durable jetstream.ConsumerConfig
	if err := readJSON("deploy/nats/consumers/badges.json", &durable); err != nil {
		return err
	}
	durable.AckWait = 3 * time.Second
	ctx := context.Background()
	if err := r.js.DeleteConsumer(ctx, "VISITORS", durable.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return err
	}
	_, err := r.js.CreateConsumer(ctx, "VISITORS", durable)
	return err
}

// Each situation has a text of its own, by which the response tells which of them it was.
const integrations = `defaults:
  decisionBudget: 1s
  fallbacks:
    timeout: {visitorText: "fallback for timeout"}
    bad_reply: {visitorText: "fallback for bad_reply"}
    no_decider: {visitorText: "fallback for no_decider"}
integrations:
  - {name: hq-lobby, site: hq}
`

func (r *rig) startRelay() error {
	for name, text := range map[string]string{"integrations.yaml": integrations, "keys/hq-lobby": key} {
		if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	p, err := r.launch("relay", append(r.as("relay"), "SINE_RELAY_INTEGRATIONS_FILE="+r.path("integrations.yaml"), "SINE_RELAY_KEYS_DIR="+r.path("keys"),
		"SINE_RELAY_LISTEN=127.0.0.1:0", "SINE_RELAY_ADMIN_LISTEN=127.0.0.1:0", "SINE_RELAY_SPOOL_DIR="+r.path("spool"), "SINE_RELAY_SPOOL_MAX_BYTES=64MiB"),
		"sine-relay", "serve", "--log-format=json")
	if err != nil {
		return err
	}
	started := regexp.MustCompile(`"msg":"sine-relay".*"listen":"([^"]+)".*"admin":"([^"]+)"`)
	return process.Await("the relay is ready", 20*time.Second, func() bool {
		m := started.FindStringSubmatch(p.Printed())
		if m == nil {
			return false
		}
		r.webhook, r.admin = "http://"+m[1]+"/sine/hq-lobby", "http://"+m[2]
		answer, err := http.Get(r.admin + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// as are the settings with which a command of sine-relay is that user's.
func (r *rig) as(user string) []string {
	return []string{"SINE_RELAY_NATS_URL=nats://" + r.address, "SINE_RELAY_NATS_USER=" + user, "SINE_RELAY_NATS_PASSWORD=" + password}
}

// logs are the last lines of every program.
func (r *rig) logs() string {
	var b strings.Builder
	files, _ := filepath.Glob(r.path("*.log"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&b, "--- %s\n", filepath.Base(file))
		for _, line := range lines[max(0, len(lines)-6):] {
			fmt.Fprintf(&b, "%.300s\n", line)
		}
	}
	return b.String()
}
