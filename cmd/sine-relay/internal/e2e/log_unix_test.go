//go:build unix

package e2e

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// piped is the real binary, with one pipe as its standard output and error.
type piped struct {
	*program
	process *exec.Cmd
	read    *os.File
}

func startPiped(t *testing.T, binary, command string, settings ...string) *piped {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &piped{program: &program{t: t}, process: exec.Command(binary, command), read: read}
	inherited := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SINE_RELAY_") })
	p.process.Env = append(inherited, environment(append([]string{
		"LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "NATS_LISTEN=127.0.0.1:0", "KEYS=" + testKey, "LOG_LEVEL=info", "LOG_FORMAT=json",
	}, settings...)...)...)
	p.process.Stdout, p.process.Stderr = write, write
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() { read.Close(); p.process.Process.Kill(); p.process.Wait() })
	for lines := bufio.NewScanner(read); p.webhook == ""; {
		if !lines.Scan() {
			t.Fatalf("it ended before it said where it listens: %v", lines.Err())
		}
		p.out.Write(append(lines.Bytes(), '\n'))
		p.findAddresses()
	}
	return p
}

// Go ends a program that writes to standard output or error when nobody reads
// them any more. The visitors of a relay whose log collector restarts are real.
func TestALogWhoseReaderDiesEndsNoRelay(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, command := range []string{"serve", "dev"} {
		t.Run(command, func(t *testing.T) {
			p := startPiped(t, binary, command, "NATS_STORE_DIR="+t.TempDir(), "DRAIN_DELAY=0s")
			eventually(t, "ready", func() bool { code, _ := p.get("/readyz"); return code == http.StatusOK })
			p.read.Close()
			for range 20 {
				p.must(http.StatusOK, "SUCCESS", webhook("Check-in Success", noon, "Ann"))
			}
			p.must(http.StatusOK, "", webhook("Check-in Request", noon, "Ann"))
			eventually(t, "the lost lines are counted", func() bool {
				_, metrics := p.get("/metrics")
				return strings.Contains(metrics, "sine_relay_log_lines_lost_total ") && !strings.Contains(metrics, "sine_relay_log_lines_lost_total 0\n")
			})
			if err := p.process.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := p.process.Wait(); err != nil {
				t.Errorf("it did not end in an orderly way: %v", err)
			}
		})
	}
}
