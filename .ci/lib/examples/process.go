package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a running program. It dies with this one.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// launch starts a program that adds what it prints to a file.
func launch(log string, env []string, program string, words ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, words...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// end sends a signal and returns once the process is gone.
func (p *process) end(s syscall.Signal) error {
	p.cmd.Process.Signal(s)
	select {
	case <-p.ended:
		return nil
	case <-time.After(20 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within 20 s of %s", p.cmd.Path, s)
	}
}

// pause stops it until it is released.
func (p *process) pause() (release func()) {
	p.cmd.Process.Signal(syscall.SIGSTOP)
	return func() { p.cmd.Process.Signal(syscall.SIGCONT) }
}

// succeeds waits until it ends by itself.
func (p *process) succeeds() error {
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		return fmt.Errorf("%s did not end within 20 s", p.cmd.Path)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with %d", p.cmd.Path, code)
	}
	return nil
}

func (p *process) printed() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// await polls until the condition holds.
func await(what string, limit time.Duration, condition func() bool) error {
	for deadline := time.Now().Add(limit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not in %s: %s", limit, what)
		}
	}
	return nil
}
