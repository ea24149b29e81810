//go:build linux && faults

package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// relay is one of the relays under test. It keeps its number, its spool and its
// settings over its lives, and has other ports in each.
type relay struct {
	number   int
	spool    string
	clock    string // the file that sets it, where there is one
	settings []string
	role     string // of disk_test.go, or empty
	disk     string // the directory that the role is about, the spool's unless set
	out      *output

	// mu is held by whatever fault has the process in its hands.
	mu      sync.Mutex
	process *process

	now   sync.Mutex
	life  int
	doors addresses
	known map[int]metrics // what was last read of each life
}

// addresses are where a relay listens; none while it does not run. Which relay
// that is, is as of its start.
type addresses struct {
	webhook, admin string
	relay          int
}

func newRelay(t testing.TB, number int, settings ...string) *relay {
	t.Helper()
	r := &relay{
		number: number, spool: t.TempDir(), out: newOutput(t, fmt.Sprintf("relay-%d", number)),
		known: map[int]metrics{},
	}
	r.disk = r.spool
	r.settings = append([]string{"LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "DRAIN_DELAY=200ms", "SPOOL_DIR=" + r.spool}, settings...)
	t.Cleanup(func() { r.process.kill() })
	return r
}

func (r *relay) environ() []string {
	all := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for _, s := range r.settings {
		all = append(all, "SINE_RELAY_"+s)
	}
	if r.clock != "" {
		all = append(all, clockVariable+"="+r.clock)
	}
	return all
}

// start begins the next life, and returns once the relay listens.
func (r *relay) start(b binaries) error {
	if r.process.running() {
		return nil
	}
	cmd := exec.Command(b.relay, "serve")
	if r.role != "" {
		cmd = confined(r.role, r.disk, b.relay, "serve")
	}
	cmd.Env = append(cmd.Env, r.environ()...)
	from := r.out.length()
	p, err := launch(cmd, r.out)
	if err != nil {
		return err
	}
	r.process = p
	var at addresses
	err = await(fmt.Sprintf("relay %d listens", r.number), func() bool {
		at = announced(r.out.since(from))
		return at.webhook != "" || !p.running()
	})
	if at.webhook == "" {
		return errors.Join(err, fmt.Errorf("relay %d does not start:\n%s", r.number, r.out.tail(10)))
	}
	r.now.Lock()
	defer r.now.Unlock()
	r.life++
	r.doors = at
	r.doors.relay = r.number
	return nil
}

// announced reads the addresses from the line that is logged at the start.
func announced(log string) addresses {
	for line := range strings.Lines(log) {
		var start struct{ Msg, Listen, Admin string }
		if json.Unmarshal([]byte(line), &start) == nil && start.Msg == "sine-relay" {
			return addresses{webhook: "http://" + start.Listen + "/sine/default", admin: "http://" + start.Admin}
		}
	}
	return addresses{}
}

// where says how to reach the relay in which of its lives.
func (r *relay) where() (addresses, int) {
	r.now.Lock()
	defer r.now.Unlock()
	return r.doors, r.life
}

func (r *relay) gone() {
	r.now.Lock()
	defer r.now.Unlock()
	r.doors = addresses{}
}

// kill ends it at once.
func (r *relay) kill() {
	r.read() // for the table: a life that ends so takes its numbers with it
	r.process.kill()
	r.gone()
}

// terminate ends it in an orderly way.
func (r *relay) terminate() error {
	r.read()
	code, err := r.process.terminate()
	r.gone()
	if err == nil && code != 0 {
		err = fmt.Errorf("relay %d ended with %d:\n%s", r.number, code, r.out.tail(10))
	}
	return err
}

// command runs another command of the program on the relay's spool.
func (r *relay) command(b binaries, words ...string) (string, error) {
	cmd := exec.Command(b.relay, append(words, "--dir", r.spool)...)
	cmd.Env = r.environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("sine-relay %s: %w: %s", strings.Join(words, " "), err, out)
	}
	return string(out), nil
}
