// Package process runs programs for the checks.
package process

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a running program. It dies with this one.
type Process struct {
	Cmd   *exec.Cmd
	Ended chan struct{} // closed when it has
	Log   string        // the file of what it prints
}

// endTimeout is how long a program may take to end.
const endTimeout = 40 * time.Second

// Launch starts a program that adds what it prints to a file.
func Launch(log string, cmd *exec.Cmd) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &Process{Cmd: cmd, Ended: make(chan struct{}), Log: log}
	go func() {
		cmd.Wait()
		close(p.Ended)
	}()
	return p, nil
}

// Running reports whether it has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.Ended:
		return false
	default:
		return true
	}
}

// End sends a signal and returns once the process is gone.
func (p *Process) End(s syscall.Signal) error {
	p.Cmd.Process.Signal(s)
	select {
	case <-p.Ended:
		return nil
	case <-time.After(endTimeout):
		p.Cmd.Process.Kill()
		<-p.Ended
		return fmt.Errorf("%s did not end within %s of %s", p.Cmd.Path, endTimeout, s)
	}
}

// Pause stops it until it is released.
func (p *Process) Pause() (release func()) {
	p.Cmd.Process.Signal(syscall.SIGSTOP)
	return func() { p.Cmd.Process.Signal(syscall.SIGCONT) }
}

// Succeeds waits until it ends by itself.
func (p *Process) Succeeds() error {
	select {
	case <-p.Ended:
	case <-time.After(endTimeout):
		return fmt.Errorf("%s did not end within %s", p.Cmd.Path, endTimeout)
	}
	if code := p.Cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with %d", p.Cmd.Path, code)
	}
	return nil
}

// Printed is what it has printed.
func (p *Process) Printed() string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Await polls until the condition holds.
func Await(what string, limit time.Duration, condition func() bool) error {
	for deadline := time.Now().Add(limit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not in %s: %s", limit, what)
		}
	}
	return nil
}
