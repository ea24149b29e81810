//go:build linux && faults

package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

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
