//go:build linux && faults

package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
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

	now    sync.Mutex
	life   int
	at     addresses
	known  map[int]metrics // what was last read of each life
	killed []death
}

// death is when a life ended without notice. A busy machine takes its time for it.
type death struct {
	life          int
	signal, ended time.Time
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
	r.at = at
	r.at.relay = r.number
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
	return r.at, r.life
}

func (r *relay) gone() {
	r.now.Lock()
	defer r.now.Unlock()
	r.at = addresses{}
}

// kill ends it at once.
func (r *relay) kill() {
	r.read() // for the table: a life that ends so takes its numbers with it
	signal := time.Now()
	r.process.kill()
	r.now.Lock()
	r.killed = append(r.killed, death{r.life, signal, time.Now()})
	r.now.Unlock()
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

// command runs another command of the program with the relay's settings.
func (r *relay) command(b binaries, words ...string) (string, error) {
	cmd := exec.Command(b.relay, words...)
	cmd.Env = r.environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("sine-relay %s: %w: %s", strings.Join(words, " "), err, out)
	}
	return string(out), nil
}

// metrics are what a relay counts, by name with labels as the relay writes them.
type metrics map[string]float64

func parseMetrics(text io.Reader) metrics {
	m := metrics{}
	for lines := bufio.NewScanner(text); lines.Scan(); {
		name, number, found := cutLast(lines.Text(), " ")
		value, err := strconv.ParseFloat(number, 64)
		if found && err == nil && !strings.HasPrefix(name, "#") {
			m[name] = value
		}
	}
	return m
}

func cutLast(s, separator string) (before, after string, found bool) {
	at := strings.LastIndex(s, separator)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(separator):], true
}

// settled is the ledger's entry of a result, one integration being all there is.
func (m metrics) settled(result string) int {
	return int(m[fmt.Sprintf(`sine_relay_events_settled_total{integration="default",result=%q}`, result)])
}

func (m metrics) received() int {
	return int(m[`sine_relay_events_received_total{integration="default"}`])
}

func (m metrics) spool(name string) int { return int(m["sine_relay_spool_"+name]) }

var scraper = &http.Client{Timeout: 5 * time.Second}

// read asks the relay for its metrics, and keeps them as the last of this life.
func (r *relay) read() (metrics, error) {
	at, life := r.where()
	if at.admin == "" {
		return nil, fmt.Errorf("relay %d does not run", r.number)
	}
	answer, err := scraper.Get(at.admin + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read metrics of relay %d: %w", r.number, err)
	}
	defer answer.Body.Close()
	m := parseMetrics(answer.Body)
	if len(m) == 0 {
		return nil, fmt.Errorf("relay %d has no metrics", r.number)
	}
	r.now.Lock()
	defer r.now.Unlock()
	r.known[life] = m
	return m, nil
}

// ready reports whether the relay says that it is.
func (r *relay) ready() bool { return r.readiness() == "ready\n" }

// readiness is what the relay says of itself, or empty.
func (r *relay) readiness() string {
	at, _ := r.where()
	answer, err := scraper.Get(at.admin + "/readyz")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return ""
	}
	return string(body)
}
