//go:build linux && faults

package faults

import (
	"os"
	"path/filepath"
	"sync"
	"time"
)

// heartbeat measures for how long the machine stood still: a relay that got no time or no
// disk for as long as it has for an event cannot keep it. It writes a byte to the
// disk now and then, and notes when that comes late.
type heartbeat struct {
	once sync.Once
	mu   sync.Mutex
	late []stall
}

type stall struct {
	end  time.Time
	took time.Duration
}

var machine heartbeat

const (
	beatEvery = 50 * time.Millisecond
	// stallAfter is half of what the relay leaves for the disk in the end.
	stallAfter = 250 * time.Millisecond
)

// watch begins to measure, where nobody has yet.
func (p *heartbeat) watch() error {
	var err error
	p.once.Do(func() {
		if err = os.MkdirAll(programsDir, 0o700); err != nil {
			return
		}
		var file *os.File
		if file, err = os.Create(filepath.Join(programsDir, "heartbeat")); err == nil {
			go p.beat(file)
		}
	})
	return err
}

func (p *heartbeat) beat(file *os.File) {
	for last := time.Now(); ; last = time.Now() {
		hold(beatEvery)
		_, err := file.WriteAt([]byte{1}, 0)
		if err == nil {
			err = file.Sync()
		}
		if took := time.Since(last); took > stallAfter || err != nil {
			p.note(took)
		}
	}
}

func (p *heartbeat) note(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = append(p.late, stall{time.Now(), took})
}

// longest is for how long at a time the machine stood still since then, or zero.
func (p *heartbeat) longest(since time.Time) (took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.late {
		if s.end.After(since) {
			took = max(took, s.took)
		}
	}
	return took
}
