package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
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

const (
	// benchRound is how long one handler is measured before it is the next
	// one's turn, and benchRounds how often each has its turn.
	benchRound  = 2 * time.Second
	benchRounds = 5
	benchPath   = "/sine/default"
)

// benchOld names a binary of the relay, of another version, that is measured beside
// the one that is built from these sources.
var benchOld = os.Getenv("BENCH_OLD")

// bench is a NATS server and the handlers, each a process of its own.
type bench struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	clients  int
	roles    []string
	handlers map[string]*benchHandler
	next     atomic.Int64
	// repeats is how many of a hundred webhooks have been sent before.
	repeats int64
}

type benchHandler struct {
	process *exec.Cmd
	url     string
}

// newBench starts NATS and the relays, with everything switched on, beside the floors.
// NATS syncs each message where natsEnv says so.
func newBench(b *testing.B, floors []string, natsEnv ...string) *bench {
	b.Helper()
	natsAddress := freeAddress(b)
	startNATS(b, natsAddress, natsEnv...)
	rig := &bench{clients: 64, roles: []string{roleRelay}, handlers: map[string]*benchHandler{}}
	if benchOld != "" {
		rig.roles = append(rig.roles, roleOld)
	}
	rig.roles = append(rig.roles, floors...)
	await(b, "NATS", func() (err error) {
		rig.nc, err = nats.Connect("nats://" + natsAddress)
		return err
	})
	b.Cleanup(rig.nc.Close)
	var err error
	if rig.js, err = jetstream.New(rig.nc); err != nil {
		b.Fatal(err)
	}
	if _, err := rig.nc.QueueSubscribe("visitors.v1.ask.>", "q", func(m *nats.Msg) {
		m.Respond([]byte(`{"decision":"accept","visitorText":"Welcome"}`))
	}); err != nil {
		b.Fatal(err)
	}
	for _, role := range rig.roles { // the relay first: it creates the streams
		address, admin := freeAddress(b), freeAddress(b)
		program := []string{os.Args[0]}
		switch role {
		case roleRelay:
			program = []string{build(b), "serve"}
		case roleOld:
			program = []string{benchOld, "serve"}
		}
		cmd := startChild(b, program, "BENCH_ROLE="+role, "BENCH_LISTEN="+address, "BENCH_NATS=nats://"+natsAddress,
			"SINE_RELAY_LISTEN="+address, "SINE_RELAY_ADMIN_LISTEN="+admin, "SINE_RELAY_NATS_URL=nats://"+natsAddress,
			"SINE_RELAY_KEYS="+testKey, "SINE_RELAY_DRAIN_DELAY=0s")
		rig.handlers[role] = &benchHandler{cmd, "http://" + address + benchPath}
		await(b, role, func() error { return rig.call(rig.handlers[role], benchEvent) })
	}
	return rig
}

// natsSynced has NATS sync each message. Its default is every two minutes.
const natsSynced = "BENCH_SYNCED=1"

func startNATS(b *testing.B, address string, environ ...string) {
	b.Helper()
	startChild(b, []string{os.Args[0]}, append(environ, "BENCH_ROLE="+roleNATS, "BENCH_LISTEN="+address, "BENCH_STORE="+b.TempDir())...)
}

// startChild runs a program that dies with this process.
func startChild(b *testing.B, program []string, environ ...string) *exec.Cmd {
	b.Helper()
	cmd := exec.Command(program[0], program[1:]...)
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
	unique := bytes.Replace(body, benchMark, fmt.Appendf(nil, "%08d", max(n, 0)), 1)
	req, err := http.NewRequest(http.MethodPost, h.url, bytes.NewReader(unique))
	if err != nil {
		return err
	}
	req.Header.Set("X-Sine-Auth", testKey)
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
	resident                 float64 // MB at the end
}

// load has all clients call until more returns false.
func (rig *bench) load(b *testing.B, h *benchHandler, body []byte, more func() bool) figures {
	b.Helper()
	latencies := make([][]time.Duration, rig.clients)
	cpuBefore, start := cpuTime(b, h.process.Process.Pid), time.Now()
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
	took, cpu := time.Since(start), cpuTime(b, h.process.Process.Pid)-cpuBefore
	all := slices.Sorted(slices.Values(slices.Concat(latencies...)))
	n := len(all)
	if n == 0 {
		b.Fatal("nothing was answered")
	}
	return figures{
		perSecond: float64(n) / took.Seconds(),
		p50:       float64(all[n/2].Microseconds()), p99: float64(all[n*99/100].Microseconds()),
		cpu:      float64(cpu.Microseconds()) / float64(n),
		resident: residentMB(b, h.process.Process.Pid),
	}
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
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
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

var benchBodies = map[string][]byte{"event": benchEvent, "ask": benchAsk}

// BenchmarkWebhook is the whole webhook over HTTP at 64 clients, beside the
// floors. The figures are of the handler's own process.
func BenchmarkWebhook(b *testing.B) {
	rig := newBench(b, floors)
	for _, path := range []string{"event", "ask"} {
		for _, role := range rig.roles {
			b.Run(path+"/"+role, func(b *testing.B) {
				var started atomic.Int64
				f := rig.load(b, rig.handlers[role], benchBodies[path], func() bool { return started.Add(1) <= int64(max(b.N, rig.clients)) })
				b.ReportMetric(f.perSecond, "req/s")
				b.ReportMetric(f.p50, "p50-µs")
				b.ReportMetric(f.p99, "p99-µs")
				b.ReportMetric(f.cpu, "cpu-µs/req")
				b.ReportMetric(f.resident, "MB-resident")
				rig.purge(b)
			})
		}
	}
}

// BenchmarkCompare lets relay and floors take turns and prints the medians of the
// ratios of each round: the machine's mood is in both sides of a ratio. Run it
// with -benchtime=1x.
func BenchmarkCompare(b *testing.B) {
	rig := newBench(b, floors)
	all := rig.roles
	rig.roles = slices.DeleteFunc(slices.Clone(all), func(role string) bool { return role == roleFloorBoth })
	rig.compare(b, "event", "event")
	rig.roles = all
	rig.compare(b, "check-in request", "ask")
}

// BenchmarkSynced is BenchmarkCompare for events where NATS syncs each message to the
// disk, for more clients, and where one of five webhooks is a repeat.
func BenchmarkSynced(b *testing.B) {
	rig := newBench(b, []string{roleFloorRaw}, natsSynced)
	for _, clients := range []int{64, 256} {
		rig.clients, rig.repeats = clients, 0
		rig.compare(b, fmt.Sprintf("synced, %d clients", clients), "event")
	}
	rig.clients, rig.repeats = 64, 20
	rig.compare(b, "synced, 64 clients, 20 % repeats", "event")
}

// compare prints the medians of each, CPU and times in microseconds, and the ratios of
// the relay to each.
func (rig *bench) compare(b *testing.B, name, path string) {
	b.Helper()
	rounds := map[string][]figures{}
	for round := range benchRounds {
		for i := range rig.roles {
			role := rig.roles[(i+round)%len(rig.roles)] // none is always first
			end := time.Now().Add(benchRound)
			rounds[role] = append(rounds[role], rig.load(b, rig.handlers[role], benchBodies[path], func() bool { return time.Now().Before(end) }))
			rig.purge(b)
		}
	}
	// Not by the benchmark's log, which is cut after ten lines.
	fmt.Printf("\n%-34s %9s %6s %9s %9s %6s   ratio to it: %s\n", name, "1/s", "CPU", "p50", "p99", "MB", "1/s   CPU   p50   p99")
	for _, role := range rig.roles {
		of := func(f func(figures) float64) float64 { return median(rounds[role], f) }
		to := func(f func(figures) float64) float64 { return medianRatio(rounds[roleRelay], rounds[role], f) }
		fmt.Printf("%-34s %9.0f %6.0f %9.0f %9.0f %6.1f                %.2f  %.2f  %.2f  %.2f\n", role,
			of(perSecond), of(cpu), of(p50), of(p99), of(resident), to(perSecond), to(cpu), to(p50), to(p99))
	}
}

func perSecond(f figures) float64 { return f.perSecond }
func p50(f figures) float64       { return f.p50 }
func p99(f figures) float64       { return f.p99 }
func cpu(f figures) float64       { return f.cpu }
func resident(f figures) float64  { return f.resident }

func median(all []figures, of func(figures) float64) float64 {
	var values []float64
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// medianRatio is the median of the ratios of each round.
func medianRatio(relay, other []figures, of func(figures) float64) float64 {
	var ratios []float64
	for i := range relay {
		ratios = append(ratios, of(relay[i])/of(other[i]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// BenchmarkStart is from starting the built binary to its first 200: with a NATS
// that is there, and with an embedded one on an empty store.
func BenchmarkStart(b *testing.B) {
	binary, natsAddress := build(b), freeAddress(b)
	startNATS(b, natsAddress)
	for _, mode := range []string{"nats", "embedded"} {
		b.Run(mode, func(b *testing.B) {
			var all []time.Duration
			for b.Loop() {
				all = append(all, startOnce(b, binary, mode, natsAddress))
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms-median")
		})
	}
}

func startOnce(b *testing.B, binary, mode, natsAddress string) time.Duration {
	b.Helper()
	address := freeAddress(b)
	environ := []string{"SINE_RELAY_LISTEN=" + address, "SINE_RELAY_ADMIN_LISTEN=" + freeAddress(b), "SINE_RELAY_KEYS=" + testKey}
	if mode == "nats" {
		environ = append(environ, "SINE_RELAY_NATS_URL=nats://"+natsAddress)
	} else {
		environ = append(environ, "SINE_RELAY_NATS_STORE_DIR="+b.TempDir(), "SINE_RELAY_NATS_LISTEN="+freeAddress(b))
	}
	rig, h := &bench{}, &benchHandler{url: "http://" + address + benchPath}
	begin := time.Now()
	cmd := startChild(b, []string{binary, "serve"}, environ...)
	await(b, mode, func() error { return rig.call(h, benchEvent) })
	took := time.Since(begin)
	cmd.Process.Kill()
	return took
}
