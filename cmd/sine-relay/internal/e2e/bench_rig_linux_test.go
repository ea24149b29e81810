package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// benchOld names a binary of the relay, of another version, that is measured beside
// the one that is built from these sources.
var benchOld = os.Getenv("BENCH_OLD")

// benchSetup is what is measured. Zero fields are one of each, 64 clients and bodies of
// 1.5 KB.
type benchSetup struct {
	clients, integrations, relays int
	// nodes of NATS have the streams, replicas copies of each.
	nodes, replicas int
	// synced has NATS sync each message. Its default is every two minutes.
	synced bool
	floors []string
}

// bench is NATS and the handlers, each a process of its own.
type bench struct {
	benchSetup
	nc       *nats.Conn
	js       jetstream.JetStream
	servers  string // URLs
	roles    []string
	handlers map[string]*benchHandler
	next     atomic.Int64
	// repeats is how many of a hundred webhooks have been sent before.
	repeats int64
}

// benchHandler is one handler, or several that share the load.
type benchHandler struct {
	processes []*exec.Cmd
	urls      []string
}

// newBench starts NATS and the relays, with everything switched on, beside the floors.
func newBench(b *testing.B, setup benchSetup) *bench {
	b.Helper()
	for _, n := range []*int{&setup.integrations, &setup.relays, &setup.nodes, &setup.replicas} {
		*n = max(*n, 1)
	}
	setup.clients = cmp.Or(setup.clients, 64)
	rig := &bench{benchSetup: setup, roles: []string{roleRelay}, handlers: map[string]*benchHandler{}}
	if benchOld != "" {
		rig.roles = append(rig.roles, roleOld)
	}
	rig.roles = append(rig.roles, setup.floors...)
	rig.startNATS(b)
	if _, err := rig.nc.QueueSubscribe("visitors.v1.ask.>", "q", func(m *nats.Msg) {
		m.Respond([]byte(`{"decision":"accept","visitorText":"Welcome"}`))
	}); err != nil {
		b.Fatal(err)
	}
	for _, role := range rig.roles { // the relay first: it creates the streams
		rig.startHandler(b, role)
	}
	return rig
}

// startNATS starts the nodes and connects to one.
func (rig *bench) startNATS(b *testing.B) {
	b.Helper()
	var addresses, routes []string
	for range rig.nodes {
		addresses, routes = append(addresses, freeAddress(b)), append(routes, freeAddress(b))
	}
	rig.servers = "nats://" + strings.Join(addresses, ",nats://")
	for i, address := range addresses {
		environ := []string{"BENCH_NODE=" + fmt.Sprint(i)}
		if rig.nodes > 1 {
			environ = append(environ, "BENCH_ROUTES=nats://"+strings.Join(routes, ",nats://"), "BENCH_ROUTE="+routes[i])
		}
		if rig.synced {
			environ = append(environ, "BENCH_SYNCED=1")
		}
		startNATS(b, address, environ...)
	}
	var err error
	await(b, "NATS", func() error {
		rig.nc, err = nats.Connect(rig.servers)
		return err
	})
	b.Cleanup(rig.nc.Close)
	if rig.js, err = jetstream.New(rig.nc); err != nil {
		b.Fatal(err)
	}
	await(b, "JetStream", func() error {
		_, err := rig.js.AccountInfo(context.Background())
		return err
	})
}

func (rig *bench) startHandler(b *testing.B, role string) {
	b.Helper()
	program, count := []string{os.Args[0]}, rig.relays
	switch role {
	case roleRelay:
		program = []string{build(b), "serve"}
	case roleOld:
		program = []string{benchOld, "serve"}
	default:
		count = 1
	}
	h := &benchHandler{}
	rig.handlers[role] = h
	for range count {
		address := freeAddress(b)
		environ := []string{
			"BENCH_ROLE=" + role, "BENCH_LISTEN=" + address, "BENCH_NATS=" + rig.servers,
			"SINE_RELAY_LISTEN=" + address, "SINE_RELAY_ADMIN_LISTEN=" + freeAddress(b), "SINE_RELAY_NATS_URL=" + rig.servers,
			"SINE_RELAY_NATS_REPLICAS=" + fmt.Sprint(rig.replicas), "SINE_RELAY_SPOOL_DIR=" + b.TempDir(), "SINE_RELAY_DRAIN_DELAY=0s",
		}
		if rig.synced && role == roleRelay { // another version may not know it
			environ = append(environ, "SINE_RELAY_NATS_SYNC_INTERVAL=0s")
		}
		h.processes = append(h.processes, startChild(b, program, append(environ, rig.configured(b)...)...))
		one := &benchHandler{}
		for i := range rig.integrations {
			one.urls = append(one.urls, fmt.Sprintf("http://%s/sine/%s", address, rig.integration(i)))
		}
		await(b, role, func() error { return rig.call(one, benchEvent) })
		h.urls = append(h.urls, one.urls...)
	}
}

func (rig *bench) integration(i int) string {
	if rig.integrations == 1 {
		return "default"
	}
	return fmt.Sprintf("lobby-%d", i)
}

// configured are the settings of the integrations.
func (rig *bench) configured(b *testing.B) []string {
	b.Helper()
	if rig.integrations == 1 {
		return []string{"SINE_RELAY_KEYS=" + testKey}
	}
	dir := b.TempDir()
	var file strings.Builder
	file.WriteString("integrations:\n")
	for i := range rig.integrations {
		fmt.Fprintf(&file, "  - name: %s\n", rig.integration(i))
		if err := os.WriteFile(filepath.Join(dir, rig.integration(i)), []byte(testKey+fmt.Sprint(i)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	path := filepath.Join(b.TempDir(), "integrations.yaml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return []string{"SINE_RELAY_INTEGRATIONS_FILE=" + path, "SINE_RELAY_KEYS_DIR=" + dir}
}

func startNATS(b *testing.B, address string, environ ...string) {
	b.Helper()
	startChild(b, []string{os.Args[0]}, append(environ, "BENCH_ROLE="+roleNATS, "BENCH_LISTEN="+address, "BENCH_STORE="+b.TempDir())...)
}

// startChild runs a program that dies with this process.
func startChild(b *testing.B, program []string, environ ...string) *exec.Cmd {
	b.Helper()
	return startChildWith(b, program, nil, nil, environ...)
}

// startChildWith gives it an input and an output.
func startChildWith(b *testing.B, program []string, in, out *os.File, environ ...string) *exec.Cmd {
	b.Helper()
	cmd := exec.Command(program[0], program[1:]...)
	if in != nil {
		cmd.Stdin, cmd.Stdout = in, out
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "SINE_RELAY_LOG_FORMAT=json"}, environ...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

func freeAddress(b *testing.B) string {
	b.Helper()
	return fmt.Sprintf("127.0.0.1:%d", natstest.FreePorts(b, 1)[0])
}

func await(b *testing.B, what string, try func() error) {
	b.Helper()
	deadline := time.Now().Add(patience)
	for err := try(); err != nil; err = try() {
		if time.Now().After(deadline) {
			b.Fatalf("%s: %v", what, err)
		}
		<-time.After(time.Millisecond)
	}
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// call sends one webhook, which differs from all others unless it is a repeat.
func (rig *bench) call(h *benchHandler, body []byte) error {
	n := rig.next.Add(1)
	if n%100 < rig.repeats {
		n -= 100 // sent a moment ago
	}
	n = max(n, 0)
	unique := bytes.Replace(body, benchMark, fmt.Appendf(nil, "%08d", n), 1)
	i := int(n) % len(h.urls)
	req, err := http.NewRequest(http.MethodPost, h.urls[i], bytes.NewReader(unique))
	if err != nil {
		return err
	}
	key := testKey
	if rig.integrations > 1 {
		key += fmt.Sprint(i % rig.integrations)
	}
	req.Header.Set("X-Sine-Auth", key)
	req.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("SUCCESS")) {
		return fmt.Errorf("answered %d %s", answer.StatusCode, text)
	}
	return nil
}

// figures of one handler under load.
type figures struct {
	perSecond, p50, p99, cpu float64 // 1/s, µs, µs, µs of the handler's process per request
	resident                 float64 // MB of one process at the end
}

// load has all clients call until more returns false.
func (rig *bench) load(b *testing.B, h *benchHandler, body []byte, more func() bool) figures {
	b.Helper()
	latencies := make([][]time.Duration, rig.clients)
	cpuBefore, start := h.cpuTime(b), time.Now()
	var clients sync.WaitGroup
	for i := range rig.clients {
		clients.Go(func() {
			for more() {
				begin := time.Now()
				if err := rig.call(h, body); err != nil {
					b.Error(err)
					return
				}
				latencies[i] = append(latencies[i], time.Since(begin))
			}
		})
	}
	clients.Wait()
	took, cpu := time.Since(start), h.cpuTime(b)-cpuBefore
	all := slices.Sorted(slices.Values(slices.Concat(latencies...)))
	n := len(all)
	if n == 0 {
		b.Fatal("nothing was answered")
	}
	return figures{
		perSecond: float64(n) / took.Seconds(),
		p50:       float64(all[n/2].Microseconds()), p99: float64(all[n*99/100].Microseconds()),
		cpu:      float64(cpu.Microseconds()) / float64(n),
		resident: residentMB(b, h.processes[0].Process.Pid),
	}
}

func (h *benchHandler) cpuTime(b *testing.B) (all time.Duration) {
	b.Helper()
	for _, p := range h.processes {
		all += cpuTime(b, p.Process.Pid)
	}
	return all
}

// cpuTime is the user and system time of a process, from /proc/<pid>/stat, in
// ticks of 10 ms.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	return statusMB(b, pid, "VmRSS:")
}

// statusMB is one of the sizes in /proc/<pid>/status.
func statusMB(b *testing.B, pid int, field string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), field)
	kB, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kB / 1024
}

// purge empties the stream, so that no round pays for those before it.
func (rig *bench) purge(b *testing.B) {
	b.Helper()
	stream, err := rig.js.Stream(context.Background(), "VISITORS")
	if err != nil {
		b.Fatal(err)
	}
	if err := stream.Purge(context.Background()); err != nil {
		b.Fatal(err)
	}
}
