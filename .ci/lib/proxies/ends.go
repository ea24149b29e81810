package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

type span struct{ begin, end time.Time }

func (s span) overlaps(o span) bool { return s.begin.Before(o.end) && o.begin.Before(s.end) }

func (s span) longer(d time.Duration) span { return span{s.begin.Add(-d), s.end.Add(d)} }

// ends are when relays ended.
type ends struct {
	mu     sync.Mutex
	killed []span // from when it stands still until the process is gone
	closed []span // in an orderly way: from when its port closes
}

// slack is for a proxy that a busy machine does not let look at its connections.
const slack = 300 * time.Millisecond

// kill ends a relay at once.
func (e *ends) kill(r *relay) error { return e.killFrom(r, time.Now()) }

// standstill is how long a relay that hangs does nothing, so that calls are in
// flight when it goes.
const standstill = 150 * time.Millisecond

// hang ends a relay as a node does that has no memory left.
func (e *ends) hang(r *relay) error {
	begin := time.Now()
	r.process.Cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(standstill)
	return e.killFrom(r, begin)
}

func (e *ends) killFrom(r *relay, begin time.Time) error {
	err := r.process.End(syscall.SIGKILL)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.killed = append(e.killed, span{begin, time.Now()})
	return err
}

// drainDelay is SINE_RELAY_DRAIN_DELAY's default.
const drainDelay = 5 * time.Second

// terminate ends a relay as an update does.
func (e *ends) terminate(r *relay) error {
	begin := time.Now()
	err := r.process.End(syscall.SIGTERM)
	if time.Since(begin) < drainDelay {
		return fmt.Errorf("relay %s was gone after %s, before its drain delay was over", r.name, time.Since(begin))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = append(e.closed, span{begin.Add(drainDelay), time.Now()})
	return err
}

// explain tells whether the page says that such a call is lost.
func (e *ends) explain(c configuration, lost loss) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if lost.path == pinned && c.resends {
		return false
	}
	for _, s := range e.killed {
		s.end = s.end.Add(c.blind)
		if lost.overlaps(s.longer(slack)) {
			return true
		}
	}
	return !c.probes && slices.ContainsFunc(e.closed, func(s span) bool { return lost.overlaps(s.longer(slack)) })
}

func (e *ends) String() string {
	var b strings.Builder
	for what, spans := range map[string][]span{"killed": e.killed, "closed": e.closed} {
		for _, s := range spans {
			fmt.Fprintf(&b, "%s from %s to %s\n", what, s.begin.Format(clock), s.end.Format(clock))
		}
	}
	return b.String()
}

const clock = "15:04:05.000"
