// Package wait bounds what tests wait for. Nothing sleeps: a test waits for a
// condition, and fails where it does not come.
package wait

import (
	"context"
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// Limit is far above what anything needs, on a machine that is busy, too.
const Limit = 2 * time.Minute

const interval = 2 * time.Millisecond

// Until waits until the condition holds. What says what that means, as in "the relay
// is ready".
func Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !For(condition) {
		t.Fatalf("not within %s: %s", Limit, what)
	}
}

// For is Until for goroutines that must not end the test: it reports whether the
// condition came to hold.
func For(condition func() bool) bool {
	deadline := time.After(Limit)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}

// Context ends after d, and with the test.
func Context(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// Main is a TestMain for a package whose tests wait more than they compute.
func Main(m *testing.M) {
	flag.Parse()
	Widen()
	os.Exit(m.Run())
}

// Widen lets more of a package's parallel tests run at once than there are
// processors, unless the caller says how many. Flags must be parsed.
func Widen() {
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
}

// Receive waits for a value of a channel. What says what that is.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case value, open := <-from:
		if open {
			return value
		}
	case <-time.After(Limit):
	}
	t.Fatalf("not within %s, or at its end: %s", Limit, what)
	panic("unreachable")
}
