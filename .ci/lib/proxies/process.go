package main

import (
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
)

// all are the processes that run, to be ended whatever happens.
type all struct {
	mu        sync.Mutex
	processes []*process.Process
}

func (a *all) launch(log string, cmd *exec.Cmd) (*process.Process, error) {
	p, err := process.Launch(log, cmd)
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
		if p.Running() {
			p.Cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, p := range a.processes {
		select {
		case <-p.Ended:
		case <-time.After(2 * time.Second):
			p.Cmd.Process.Kill()
			<-p.Ended
		}
	}
}
