package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a running program. It dies with this one.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// launch starts a program that adds what it prints to a file.
func launch(log string, cmd *exec.Cmd) (*process, error) {
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
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// end sends a signal and returns once the process is gone.
func (p *process) end(s syscall.Signal) error {
	p.cmd.Process.Signal(s)
	select {
	case <-p.ended:
		return nil
	case <-time.After(40 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within 40 s of %s", p.cmd.Path, s)
	}
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// all are the processes that run, to be ended whatever happens.
type all struct {
	mu        sync.Mutex
	processes []*process
}

func (a *all) launch(log string, cmd *exec.Cmd) (*process, error) {
	p, err := launch(log, cmd)
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.processes = append(a.processes, p)
	}
	return p, err
}

func (a *all) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.processes {
		if p.running() {
			p.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, p := range a.processes {
		select {
		case <-p.ended:
		case <-time.After(2 * time.Second):
			p.cmd.Process.Kill()
			<-p.ended
		}
	}
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
