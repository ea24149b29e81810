//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running program, whose output goes to a file. It ends with us.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func launch(cmd *exec.Cmd, log string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) output() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

func (p *process) tail() string {
	lines := strings.Split(strings.TrimSpace(p.output()), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// memory is what a process has resident, in bytes. Files are what the kernel takes
// back when it needs memory: the program's own, and those of a spool that are
// looked at as memory.
type memory struct{ all, files int64 }

// own is what a limit is about: all that the kernel cannot take back, and the
// program, without which nothing goes on.
func (m memory) own(program int64) int64 { return m.all - m.files + program }

func (p *process) memory() (m memory, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		return m, err
	}
	fields := map[string]*int64{"VmRSS:": &m.all, "RssFile:": &m.files}
	for line := range strings.Lines(string(status)) {
		words := strings.Fields(line)
		if len(words) != 3 || fields[words[0]] == nil {
			continue
		}
		kib, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return m, err
		}
		*fields[words[0]] = kib << 10
		delete(fields, words[0])
	}
	if len(fields) > 0 {
		return m, fmt.Errorf("process %d has no memory", p.pid())
	}
	return m, nil
}

// watch looks at a process' memory time and again.
type watch struct {
	process *process
	program int64 // bytes of the program that were resident at the start
	stop    chan struct{}
	ended   chan struct{}
	own     int64 // the highest
	all     int64
	err     error
}

const watchInterval = 20 * time.Millisecond

func (p *process) watch(program int64) *watch {
	w := &watch{process: p, program: program, stop: make(chan struct{}), ended: make(chan struct{})}
	go w.run()
	return w
}

func (w *watch) run() {
	defer close(w.ended)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		m, err := w.process.memory()
		if err != nil {
			w.err = err
			return
		}
		w.own, w.all = max(w.own, m.own(w.program)), max(w.all, m.all)
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
	}
}

// highest ends the watch.
func (w *watch) highest() (own, all int64, err error) {
	close(w.stop)
	<-w.ended
	return w.own, w.all, w.err
}
