//go:build linux && faults

// Package faults kills, stops, cuts off and misleads the real relay and the
// real NATS under load, and then holds what the senders were told against what
// is stored.
//
// It promises to notice when something that was answered 200 is missing, is
// stored twice, is altered or is out of order within its visit, when something
// is stored that nobody sent, and when a relay's ledger does not balance. How
// fast anything is, it reports and does not judge, but for bounds that are far
// above what a busy machine needs.
package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	flagRuns  = flag.Int("faults.runs", 4, "how many random plans to carry out")
	flagSeed  = flag.Uint64("faults.seed", 1, "seed of the first random plan; each further plan has the next")
	flagRelay = flag.String("faults.relay", "", "a built relay to put to the test, in place of building this tree's")
)

// patience bounds what a test waits for; it is far above what anything needs.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		fmt.Fprintln(os.Stderr, play(role))
		os.Exit(1)
	}
	flag.Parse()
	widen()
	code := m.Run()
	closing.print(os.Stdout)
	os.RemoveAll(workshop)
	os.Exit(code)
}

// play is what this binary does where it is started in a role.
func play(role string) error {
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

// workshop is where the programs are built.
var workshop = filepath.Join(os.TempDir(), fmt.Sprintf("sine-relay-faults-%d", os.Getpid()))

type binaries struct{ relay, nats string }

var build = sync.OnceValues(func() (binaries, error) {
	b := binaries{relay: filepath.Join(workshop, "sine-relay"), nats: filepath.Join(workshop, "nats-server")}
	out, err := exec.Command("go", "build", "-o", workshop+"/",
		"github.com/sine-relay/sine-relay/cmd/sine-relay", "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return b, fmt.Errorf("build the programs: %w: %s", err, out)
	}
	if *flagRelay != "" {
		b.relay = *flagRelay
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
