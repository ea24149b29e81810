package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
)

// relay is one of the two. Over its lives it keeps its address, its ports, and
// its spool.
type relay struct {
	name          string
	public, admin string
	program, dir  string
	settings      []string
	all           *all
	process       *process.Process
}

// newRelay has the defaults of the program, but for what it cannot have here.
func newRelay(r *rig, number int) *relay {
	name := fmt.Sprint(number)
	one := &relay{
		name:    name,
		public:  fmt.Sprintf("%s%d:%d", network, number, r.ports.public),
		admin:   fmt.Sprintf("%s%d:%d", network, number, r.ports.admin),
		program: r.programs.relay, dir: r.dir, all: &r.all,
	}
	one.settings = []string{
		"LISTEN=" + one.public, "ADMIN_LISTEN=" + one.admin, "NATS_URL=" + r.natsURL,
		"SPOOL_DIR=" + filepath.Join(r.dir, "spool-"+name),
		"INTEGRATIONS_FILE=" + filepath.Join(r.dir, "integrations.yaml"), "KEYS_DIR=" + filepath.Join(r.dir, "keys"),
		"TRUSTED_PROXIES=" + proxyHost,
	}
	return one
}

// start returns once the relay is ready.
func (r *relay) start() error {
	cmd := exec.Command(r.program, "serve")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for _, s := range r.settings {
		cmd.Env = append(cmd.Env, "SINE_RELAY_"+s)
	}
	p, err := r.all.launch(filepath.Join(r.dir, "relay-"+r.name+".log"), cmd)
	if err != nil {
		return err
	}
	r.process = p
	err = process.Await("relay "+r.name+" is ready", 20*time.Second, func() bool { return r.ready() || !p.Running() })
	if err == nil && !p.Running() {
		err = fmt.Errorf("relay %s ended", r.name)
	}
	return err
}

func (r *relay) ready() bool {
	answer, err := http.Get("http://" + r.admin + "/readyz")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// Integrations: one for callers from where these come from, and one for callers
// from an address that none of them has.
const (
	key          = "key-of-the-proxies-check"
	elsewhere    = "198.51.100.7"
	integrations = `integrations:
  - {name: default, allowFrom: [` + clientHost + `/32], fallbacks: {timeout: {decision: accept}}}
  - {name: elsewhere, allowFrom: [` + elsewhere + `/32]}
`
)

func writeIntegrations(dir string) error {
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		return err
	}
	for file, text := range map[string]string{"integrations.yaml": integrations, "keys/default": key, "keys/elsewhere": key + "-2"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

const (
	unpinned = "/sine/default"
	pinned   = "/sine/default/check-in-success"
)
