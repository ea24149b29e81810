package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sine-relay/sine-relay/internal/wait"
)

// programs is where the real binary is built.
var programs = filepath.Join(os.TempDir(), fmt.Sprintf("sine-relay-e2e-%d", os.Getpid()))

// TestMain lets the benchmarks run this binary in other roles, each in a process
// of its own.
func TestMain(m *testing.M) {
	if role := os.Getenv("BENCH_ROLE"); role != "" {
		os.Exit(playRole(role))
	}
	flag.Parse()
	wait.Widen()
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}
