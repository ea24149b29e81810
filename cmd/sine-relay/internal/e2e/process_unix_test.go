//go:build unix

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

// built makes the real binary, stamped, once for all tests. It is compiled as the
// tests are, so that the compiler's cache has everything but the link.
var built = sync.OnceValues(func() (binary string, err error) {
	binary = filepath.Join(programs, "sine-relay")
	out, err := exec.Command("go", "build", "-ldflags", "-X main.version=9.8.7", "-o", binary, "github.com/sine-relay/sine-relay/cmd/sine-relay").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

func build(t testing.TB) string {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// process is the real binary, running.
type process struct {
	*exec.Cmd
	out   logtest.Buffer
	ended chan struct{}
	err   error // once it has ended
}

func startProcess(t *testing.T, binary string, settings ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(binary, "serve"), ended: make(chan struct{})}
	inherited := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SINE_RELAY_") })
	p.Env = append(inherited, environment(append([]string{"LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "KEYS=" + testKey}, settings...)...)...)
	p.Stdout, p.Stderr = &p.out, &p.out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.Process.Kill(); <-p.ended })
	eventually(t, "it is ready", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("it ended: %v\n%s", p.err, p.out.String())
		default:
		}
		return strings.Contains(p.out.String(), `"state":"ready"`)
	})
	return p
}

func (p *process) signal(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// end waits for the program, and returns what it ended with.
func (p *process) end(t *testing.T) error {
	t.Helper()
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		t.Fatalf("it goes on:\n%s", p.out.String())
		return nil
	}
}

func TestSignals_FirstEndsInAnOrderlyWayAndSecondAtOnce(t *testing.T) {
	t.Parallel()
	binary := build(t)
	server := natstest.Start(t)
	if out, err := exec.Command(binary, "version").Output(); err != nil || !strings.HasPrefix(string(out), "sine-relay 9.8.7, ") {
		t.Errorf("version: %s %v", out, err)
	}
	t.Run("the first ends it in an orderly way", func(t *testing.T) {
		p := startProcess(t, binary, "NATS_URL="+server.URL(), "DRAIN_DELAY=100ms")
		p.signal(t)
		if err := p.end(t); err != nil {
			t.Errorf("%v:\n%s", err, p.out.String())
		}
		if !strings.Contains(p.out.String(), `"msg":"stopped"`) {
			t.Errorf("no orderly end:\n%s", p.out.String())
		}
	})
	t.Run("the second ends it at once", func(t *testing.T) {
		p := startProcess(t, binary, "NATS_URL="+server.URL(), "DRAIN_DELAY=1h")
		p.signal(t)
		eventually(t, "it is stopping", func() bool { return strings.Contains(p.out.String(), `"msg":"stopping"`) })
		p.signal(t)
		if err := p.end(t); err == nil {
			t.Error("it took its time")
		}
	})
}

func TestSignals_SIGHUPReloadsAtOnce(t *testing.T) {
	t.Parallel()
	binary := build(t)
	server := natstest.Start(t)
	p := startProcess(t, binary, "NATS_URL="+server.URL())
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says so", func() bool { return strings.Contains(p.out.String(), `"msg":"configuration in force"`) })
}

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
		"LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "KEYS=" + testKey, "LOG_LEVEL=info", "LOG_FORMAT=json",
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
func TestLog_RelaySurvivesTheDeathOfTheLogReader(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, command := range []string{"serve", "dev"} {
		t.Run(command, func(t *testing.T) {
			p := startPiped(t, binary, command, "NATS_URL="+natstest.Start(t).URL(), "DRAIN_DELAY=0s")
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
