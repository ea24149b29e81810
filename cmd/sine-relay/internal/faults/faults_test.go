//go:build linux && faults

// Package faults kills, stops, cuts off and misleads the real relay and the
// real NATS under load, and then holds the responses that the senders got against what
// is stored.
//
// It promises to notice when something that was answered 200 is missing, is
// stored twice, is altered or is out of order within its visit, when something
// is stored that nobody sent, and when a relay's ledger does not balance. How
// fast anything is, it reports and does not judge, but for bounds that are far
// above what a busy machine needs.
package faults

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	flagRuns  = flag.Int("faults.runs", 4, "how many random plans to carry out")
	flagSeed  = flag.Uint64("faults.seed", 1, "seed of the first random plan; each further plan has the next")
	flagRelay = flag.String("faults.relay", "", "a built relay to put to the test, in place of building this tree's")
	flagNATS  = flag.String("faults.nats", "", "a built nats-server to put to the test, in place of that of go.mod")
)

// patience bounds what a test waits for; it is far above what anything needs.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		fmt.Fprintln(os.Stderr, runRole(role))
		os.Exit(1)
	}
	flag.Parse()
	widen()
	code := m.Run()
	if *flagNATS != "" {
		version, err := exec.Command(*flagNATS, "--version").Output()
		if err != nil {
			version = []byte(err.Error())
		}
		closing.note("NATS is that of -faults.nats: " + string(bytes.TrimSpace(version)))
	}
	closing.print(os.Stdout)
	os.RemoveAll(programsDir)
	os.Exit(code)
}

// runRole is what this binary does where it is started in a role.
func runRole(role string) error {
	if name, servers, _ := strings.Cut(role, ":"); name == roleDecider {
		return decide(servers)
	}
	return confine(role)
}

// widen lets more tests run at once than there are processors, unless the caller
// says how many: they mostly wait.
func widen() {
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		flag.Set("test.parallel", fmt.Sprint(2*runtime.GOMAXPROCS(0)))
	}
}

// programsDir is where the programs are built.
var programsDir = filepath.Join(os.TempDir(), fmt.Sprintf("sine-relay-faults-%d", os.Getpid()))

type binaries struct{ relay, nats string }

// build builds the programs that the caller does not name.
var build = sync.OnceValues(func() (binaries, error) {
	b := binaries{relay: *flagRelay, nats: *flagNATS}
	words := []string{"build", "-o", programsDir + "/"}
	if b.relay == "" {
		b.relay = filepath.Join(programsDir, "sine-relay")
		words = append(words, "github.com/sine-relay/sine-relay/cmd/sine-relay")
	}
	if b.nats == "" {
		b.nats = filepath.Join(programsDir, "nats-server")
		words = append(words, "github.com/nats-io/nats-server/v2")
	}
	if *flagRelay != "" && *flagNATS != "" {
		return b, nil
	}
	if out, err := exec.Command("go", words...).CombinedOutput(); err != nil {
		return b, fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return b, nil
})

func programs(t testing.TB) binaries {
	t.Helper()
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// process is a running program. It dies with the tests.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// launch starts a program that writes to out.
func launch(cmd *exec.Cmd, out *output) (*process, error) {
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		cmd.Wait() // its exit code is in cmd.ProcessState
		close(p.ended)
	}()
	return p, nil
}

func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal is for a process that may have ended meanwhile.
func (p *process) signal(s syscall.Signal) {
	if p.running() {
		p.cmd.Process.Signal(s)
	}
}

// kill ends it at once, also when it is stopped.
func (p *process) kill() {
	if p == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// terminate ends it in an orderly way and returns its exit code.
func (p *process) terminate() (int, error) {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		return 0, fmt.Errorf("%s does not end within %s", p.cmd.Path, patience)
	}
}

// output keeps what a program prints. It takes everything at once, whatever the
// disk does: a program that cannot print waits.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// newOutput leaves a file in the end for whoever looks closer; see the flag
// -artifacts of go test.
func newOutput(t testing.TB, name string) *output {
	t.Helper()
	o := &output{}
	file := filepath.Join(t.ArtifactDir(), name+".log")
	t.Cleanup(func() {
		if err := os.WriteFile(file, []byte(o.since(0)), 0o600); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) since(offset int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text.Bytes()[offset:])
}

func (o *output) length() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Len()
}

// tail is the last lines, for somebody who reads that a test failed.
func (o *output) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(o.since(0)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// await polls until the condition holds, and says what does not otherwise.
func await(what string, condition func() bool) error { return awaitFor(patience, what, condition) }

func awaitFor(limit time.Duration, what string, condition func() bool) error {
	deadline := time.After(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			return fmt.Errorf("not in %s: %s", limit, what)
		case <-tick.C:
		}
	}
	return nil
}

// hold lets a fault last.
func hold(d time.Duration) { <-time.After(d) }
