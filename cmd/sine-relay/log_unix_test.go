//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

func TestALogThatIsReadAgainSaysHowManyLinesAreMissing(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := reader()
	write, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	log, flush := newLogger(write, 0, "json")
	log.Info("read")
	flush()
	if n, err := first.Read(make([]byte, 1000)); n == 0 || err != nil {
		t.Fatalf("%d bytes were read: %v", n, err)
	}
	first.Close()
	for range 3 {
		log.Info("lost")
	}
	flush()
	second := reader()
	log.Info("read again")
	flush()
	write.Close()
	lines, err := io.ReadAll(second)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Msg, Level string
		Lines      int
	}
	var got []line
	for decode := json.NewDecoder(bytes.NewReader(lines)); decode.More(); {
		var l line
		if err := decode.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	if len(got) != 2 || got[0].Lines != 3 || got[0].Level != "WARN" || got[1].Msg != "read again" {
		t.Errorf("%s", lines)
	}
}

// flaky takes a part of each line while it is full.
type flaky struct {
	strings.Builder
	full bool
}

func (f *flaky) Write(line []byte) (int, error) {
	if f.full {
		n, _ := f.Builder.Write(line[:5])
		return n, syscall.ENOSPC
	}
	return f.Builder.Write(line)
}

// A disk that is full takes a part of a line, and would join the rest to the next.
func TestALineThatIsCutSpoilsNoOther(t *testing.T) {
	to := &flaky{full: true}
	apart := detach(to, asText)
	apart.Write([]byte("the first line\n"))
	apart.flush()
	to.full = false
	apart.Write([]byte("the second line\n"))
	apart.flush()
	got := strings.Split(to.String(), "\n")
	if len(got) != 4 || got[0] != "the f" || !strings.Contains(got[1], "lines are missing\" lines=1") || got[2] != "the second line" {
		t.Errorf("%q", got)
	}
}

func asText(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }
