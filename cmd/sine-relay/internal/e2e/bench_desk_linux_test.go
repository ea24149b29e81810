package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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
	"golang.org/x/sys/unix"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	deskDecisions = 100_000              // of 30 days at 40 sites
	deskPace      = 4 * time.Millisecond // between two visitors, of whom each is two webhooks
	deskRounds    = 3
	deskRound     = 6 * time.Second
)

// BenchmarkDesk has 250 visitors a second ask to come in and check in, with and without a
// desk that 50 people look at. One of them asks for the decisions of 30 days each second.
// It prints how long visitors waited for the relay's answer, and what the desk's process
// took of memory and of one processor: at first with one processor for the door (clients,
// decider, relay, NATS) and another for the desk and those who look, as with machines of
// their own, then with all of it on whatever there is. Run it with -benchtime=1x.
func BenchmarkDesk(b *testing.B) {
	rig := newBench(b, benchSetup{})
	rig.storeDecisions(b)
	fmt.Printf("\n%-24s %9s %9s %9s   %9s %9s %7s %12s\n", "", "1/s", "p50, ms", "p99, ms", "desk, MB", "peak, MB", "CPU, %", "30 days, ms")
	all := make([]int, runtime.NumCPU())
	for cpu := range all {
		all[cpu] = cpu
	}
	if len(all) > 1 {
		rig.withAndWithoutDesk(b, "apart", []int{0}, []int{1})
	}
	rig.withAndWithoutDesk(b, "together", all, all)
}

// withAndWithoutDesk compares the two, on processors for the door and for the desk.
func (rig *bench) withAndWithoutDesk(b *testing.B, name string, door, desk []int) {
	b.Helper()
	var without, with []figures
	pin(b, os.Getpid(), door)
	for _, child := range rig.children {
		pin(b, child.Process.Pid, door)
	}
	for range deskRounds {
		f := rig.visitors(b)
		without = append(without, f)
		fmt.Printf("%-24s %9.0f %9.2f %9.2f\n", name+", no desk", f.perSecond, f.p50/1000, f.p99/1000)
		d := rig.startDesk(b, desk)
		pid := d.process.Process.Pid
		begun, before := time.Now(), cpuTime(b, pid)
		f = rig.visitors(b)
		with = append(with, f)
		busy := (cpuTime(b, pid) - before).Seconds() / time.Since(begun).Seconds()
		resident, peak := statusMB(b, pid, "VmRSS:"), statusMB(b, pid, "VmHWM:")
		fmt.Printf("%-24s %9.0f %9.2f %9.2f   %9.1f %9.1f %7.0f %12.0f\n", name+", desk", f.perSecond, f.p50/1000, f.p99/1000, resident, peak, 100*busy, d.end(b))
	}
	fmt.Printf("%-24s %9.2f %9.2f %9.2f   medians of the ratios\n", name+", ratio", medianRatio(with, without, perSecond), medianRatio(with, without, p50), medianRatio(with, without, p99))
}

// pin keeps a process to some processors, and what it starts.
func pin(b *testing.B, pid int, processors []int) {
	b.Helper()
	var set unix.CPUSet
	for _, cpu := range processors {
		set.Set(cpu)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, thread := range threads {
		tid, _ := strconv.Atoi(thread.Name())
		err = errors.Join(err, unix.SchedSetaffinity(tid, &set))
	}
	if err != nil {
		b.Fatal(err)
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
func (rig *bench) startDesk(b *testing.B, processors []int) *benchDesk {
	b.Helper()
	roles := filepath.Join(b.TempDir(), "roles.yaml")
	if err := os.WriteFile(roles, []byte(`roles: [{group: all, role: operator, sites: ["*"]}]`), 0o600); err != nil {
		b.Fatal(err)
	}
	address := freeAddress(b)
	d := &benchDesk{process: startChild(b, []string{build(b), "desk"},
		"SINE_RELAY_NATS_URL="+rig.servers, "SINE_RELAY_DESK_LISTEN="+address, "SINE_RELAY_DESK_ADMIN_LISTEN="+freeAddress(b), "SINE_RELAY_DESK_URL=http://"+address,
		"SINE_RELAY_DESK_PROXY_USER_HEADER=X-User", "SINE_RELAY_DESK_PROXY_GROUPS_HEADER=X-Groups", "SINE_RELAY_DESK_TRUSTED_PROXIES=127.0.0.0/8",
		"SINE_RELAY_DESK_ROLES_FILE="+roles)}
	pin(b, d.process.Process.Pid, processors)
	said, saying, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	hears, tells, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	d.people = startChildWith(b, []string{os.Args[0]}, hears, saying, "BENCH_ROLE="+rolePeople, "BENCH_DESK=http://"+address)
	pin(b, d.people.Process.Pid, processors)
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
