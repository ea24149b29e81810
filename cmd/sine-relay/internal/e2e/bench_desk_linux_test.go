package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	deskDecisions = 100_000              // of 30 days at 40 sites
	deskPace      = 4 * time.Millisecond // between two visitors, of whom each is two webhooks
	deskRounds    = 3
	deskRound     = 10 * time.Second
)

// BenchmarkDesk has 250 visitors a second ask to come in and check in, with and without a
// desk that 50 people look at. One of them asks for the decisions of 30 days each second.
// It prints how long visitors waited for the relay's answer, what the desk's process took
// of memory, and what it and those who look took of one processor. Between the two is a
// program that does nothing but compute: what a visitor waits longer with it is no matter
// of NATS or of the desk. Desk and people have a processor of their own (apart, as on
// another node), get the relay's processors when nobody else wants them (behind), or share
// them alike. Run it with -benchtime=1x.
func BenchmarkDesk(b *testing.B) {
	b.Run("apart", func(b *testing.B) {
		confine(b, "0")
		withAndWithoutDesk(b, "taskset", "--cpu-list", "1")
	})
	b.Run("behind", func(b *testing.B) { withAndWithoutDesk(b, "chrt", "--idle", "0") })
	b.Run("alike", func(b *testing.B) { withAndWithoutDesk(b) })
}

// confine has this process, and what it starts, run on these processors until the benchmark
// ends.
func confine(b *testing.B, processors string) {
	b.Helper()
	taskset := func(to string) {
		if out, err := exec.Command("taskset", "--all-tasks", "--cpu-list", "--pid", to, strconv.Itoa(os.Getpid())).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	taskset(processors)
	b.Cleanup(func() { taskset(fmt.Sprintf("0-%d", runtime.NumCPU()-1)) })
}

// withAndWithoutDesk compares the two. The command starts what belongs to the desk.
func withAndWithoutDesk(b *testing.B, command ...string) {
	rig := newBench(b, benchSetup{})
	rig.storeDecisions(b)
	fmt.Printf("\n%-24s %9s %9s %9s   %9s %9s %7s %12s\n", "", "1/s", "p50, ms", "p99, ms", "desk, MB", "peak, MB", "CPU, %", "30 days, ms")
	var without, beside, with []figures
	for range deskRounds {
		f := rig.visitors(b)
		without = append(without, f)
		fmt.Printf("%-24s %9.0f %9.2f %9.2f\n", "nothing", f.perSecond, f.p50/1000, f.p99/1000)

		busy := startChild(b, slices.Concat(command, []string{"sh", "-c", "while :; do :; done"}))
		f = rig.visitors(b)
		beside = append(beside, f)
		busy.Process.Kill()
		busy.Wait()
		fmt.Printf("%-24s %9.0f %9.2f %9.2f\n", "computing", f.perSecond, f.p50/1000, f.p99/1000)

		d := rig.startDesk(b, command)
		begun, desk, people := time.Now(), cpuTime(b, d.process.Process.Pid), cpuTime(b, d.people.Process.Pid)
		f = rig.visitors(b)
		with = append(with, f)
		share := func(pid int, before time.Duration) float64 {
			return 100 * (cpuTime(b, pid) - before).Seconds() / time.Since(begun).Seconds()
		}
		pid := d.process.Process.Pid
		resident, peak := statusMB(b, pid, "VmRSS:"), statusMB(b, pid, "VmHWM:")
		cpu := fmt.Sprintf("%.0f + %.0f", share(pid, desk), share(d.people.Process.Pid, people))
		fmt.Printf("%-24s %9.0f %9.2f %9.2f   %9.1f %9.1f %7s %12.0f\n", "desk + people", f.perSecond, f.p50/1000, f.p99/1000, resident, peak, cpu, d.end(b))
	}
	for what, of := range map[string][]figures{"nothing": without, "computing": beside} {
		fmt.Printf("%-24s %9.2f %9.2f %9.2f   medians of the ratios\n", "desk to "+what, medianRatio(with, of, perSecond), medianRatio(with, of, p50), medianRatio(with, of, p99))
	}
}

// storeDecisions stores those of the last 30 days.
func (rig *bench) storeDecisions(b *testing.B) {
	b.Helper()
	start := time.Now().Add(-30 * 24 * time.Hour).UTC()
	for i := range deskDecisions {
		id, site := visit.NewRequestID(), fmt.Sprintf("site-%02d", i%40)
		r := visit.Record{
			RequestID: id, Reference: visit.Reference(id), Site: site, Integration: site, Received: start.Add(time.Duration(i) * (30 * 24 * time.Hour / deskDecisions)),
			Visit: visit.NewVisitKey(""), Verdict: visit.Accept, Situation: visit.SituationDecided, Rule: "all: default accepted", TookMs: 21.5, Policy: "0123456789abcdef",
		}
		m, err := r.Message(visit.Subjects{})
		if err == nil {
			_, err = rig.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		}
		if err != nil {
			b.Fatal(err)
		}
		if i%500 == 499 {
			<-rig.js.PublishAsyncComplete()
		}
	}
}

// visitors come at a steady rate, whether or not those before them were answered.
func (rig *bench) visitors(b *testing.B) figures {
	b.Helper()
	var mu sync.Mutex
	var waited []time.Duration
	var all sync.WaitGroup
	h := rig.handlers[roleRelay]
	tick := time.NewTicker(deskPace)
	defer tick.Stop()
	begun := time.Now()
	for time.Since(begun) < deskRound {
		<-tick.C
		all.Go(func() {
			asked := time.Now()
			err := rig.call(h, benchAsk)
			took := time.Since(asked)
			if err == nil {
				err = rig.call(h, benchEvent)
			}
			if err != nil {
				b.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			waited = append(waited, took)
		})
	}
	all.Wait()
	slices.Sort(waited)
	n := len(waited)
	return figures{perSecond: 2 * float64(n) / time.Since(begun).Seconds(), p50: float64(waited[n/2].Microseconds()), p99: float64(waited[n*99/100].Microseconds())}
}

// benchDesk is a desk, and a process of people who look at it.
type benchDesk struct {
	process, people *exec.Cmd
	leave           io.Closer
	said            *bufio.Scanner
}

// startDesk starts one that has read everything, and has people look at it.
func (rig *bench) startDesk(b *testing.B, command []string) *benchDesk {
	b.Helper()
	roles := filepath.Join(b.TempDir(), "roles.yaml")
	if err := os.WriteFile(roles, []byte(`roles: [{group: all, role: operator, sites: ["*"]}]`), 0o600); err != nil {
		b.Fatal(err)
	}
	address, admin := freeAddress(b), freeAddress(b)
	d := &benchDesk{process: startChild(b, slices.Concat(command, []string{build(b), "desk"}),
		"SINE_RELAY_NATS_URL="+rig.servers, "SINE_RELAY_DESK_LISTEN="+address, "SINE_RELAY_DESK_ADMIN_LISTEN="+admin, "SINE_RELAY_DESK_URL=http://"+address,
		"SINE_RELAY_DESK_PROXY_USER_HEADER=X-User", "SINE_RELAY_DESK_PROXY_GROUPS_HEADER=X-Groups", "SINE_RELAY_DESK_TRUSTED_PROXIES=127.0.0.0/8",
		"SINE_RELAY_DESK_ROLES_FILE="+roles)}
	await(b, "the desk has read the last day", func() error {
		r, err := client.Get("http://" + admin + "/readyz")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			err = errors.New(r.Status)
		}
		return err
	})
	said, saying, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	hears, tells, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	d.people = startChildWith(b, append(slices.Clone(command), os.Args[0]), hears, saying, "BENCH_ROLE="+rolePeople, "BENCH_DESK=http://"+address)
	hears.Close()
	saying.Close()
	d.leave, d.said = tells, bufio.NewScanner(said)
	if !d.said.Scan() {
		b.Fatal("the pages are not kept up to date")
	}
	return d
}

// end ends it, and returns the median of how long the decisions of 30 days took, in
// milliseconds.
func (d *benchDesk) end(b *testing.B) float64 {
	b.Helper()
	d.leave.Close()
	if !d.said.Scan() {
		b.Fatal("those who looked did not see what they should")
	}
	took, err := strconv.ParseFloat(d.said.Text(), 64)
	if err != nil {
		b.Fatal(err)
	}
	d.people.Wait()
	d.process.Process.Kill()
	d.process.Wait()
	return took
}
