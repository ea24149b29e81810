package orders

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

const childFile = "ORDERS_TEST_FILE"

func TestMain(m *testing.M) {
	file := os.Getenv(childFile)
	if file == "" {
		wait.Main(m)
	}
	if err := writeUntilKilled(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// numbered is the state of the nth write. Its length differs from that before.
func numbered(n int) *snapshot {
	s := &snapshot{Version: snapshotVersion, Written: time.Now().UTC()}
	for i := range 1 + n*7%200 {
		s.Orders = append(s.Orders, visit.Order{
			Kind: visit.OrderLockdown, Site: fmt.Sprint("site-", i), Reason: fmt.Sprint(n), Message: strings.Repeat("x", 500),
		})
	}
	return s
}

// writeUntilKilled prints the number of each write when it is done.
func writeUntilKilled(file string) error {
	for n := 1; ; n++ {
		if err := numbered(n).write(file); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// A kill shows that no half of a state is ever seen. It does not show what is
// left when the power goes.
func TestKept_KillLeavesTheOldOrTheNewState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orders.json")
	random := rand.New(rand.NewPCG(1, 2))
	for life := range 15 {
		last := writeAndKill(t, file, 1+random.IntN(30), time.Duration(random.IntN(1500))*time.Microsecond)
		state, err := load(file)
		if err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		var n int
		fmt.Sscan(state.Orders[0].Reason, &n)
		if n != last && n != last+1 || len(state.Orders) != len(numbered(n).Orders) {
			t.Errorf("life %d: %d orders of write %d are there, %d was done", life, len(state.Orders), n, last)
		}
	}
}

// writeAndKill kills the child a while after it has printed so many lines, and
// returns the last that it printed.
func writeAndKill(t *testing.T, file string, lines int, delay time.Duration) (last int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe)
	c.Env = append(os.Environ(), childFile+"="+file)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			break // a line without its end was not printed
		}
		if fmt.Sscan(line, &last); last == lines {
			time.AfterFunc(delay, func() { c.Process.Kill() })
		}
	}
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed: %v", err)
	}
	return last
}
