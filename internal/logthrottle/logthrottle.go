// Package logthrottle decides when a log says again what happens over and over: at
// once when it begins, then once an interval, with how often it happened since.
package logthrottle

import (
	"sync"
	"time"
)

// Throttle counts what happens by a key, of which there must be few. It is safe for
// concurrent use.
type Throttle struct {
	interval time.Duration

	mu   sync.Mutex
	keys map[string]*state
}

type state struct {
	logged time.Time
	count  int // since then
}

// New returns a throttle that lets each key be logged once an interval.
func New(interval time.Duration) *Throttle {
	return &Throttle{interval: interval, keys: map[string]*state{}}
}

// Due counts one, and returns how many there were since the last log line, or 0 while
// there is not to be another.
func (t *Throttle) Due(key string, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.keys[key]
	if s == nil {
		s = &state{logged: now.Add(-t.interval)}
		t.keys[key] = s
	}
	s.count++
	if now.Sub(s.logged) < t.interval {
		return 0
	}
	n := s.count
	s.logged, s.count = now, 0
	return n
}
