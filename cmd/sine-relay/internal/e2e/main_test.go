package e2e

import (
	"os"
	"testing"
)

// TestMain lets the benchmarks run this binary in other roles, each in a process
// of its own.
func TestMain(m *testing.M) {
	if role := os.Getenv("BENCH_ROLE"); role != "" {
		os.Exit(playRole(role))
	}
	os.Exit(m.Run())
}
