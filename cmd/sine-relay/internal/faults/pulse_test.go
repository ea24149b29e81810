//go:build linux && faults

package faults

import (
	"os"
	"path/filepath"
	"sync"
	"time"
)

// pulse tells how long the machine stood still: a relay that got no time or no
// disk for as long as it has for an event cannot keep it. It writes a byte to the
// disk now and then, and notes when that comes late.
type pulse struct {
	once sync.Once
	mu   sync.Mutex
	late []stillness
}

type stillness struct {
	end  time.Time
	took time.Duration
}

var heart pulse

const (
	heartbeat = 50 * time.Millisecond
	// arrest is half of what the relay leaves for the disk in the end.
	arrest = 250 * time.Millisecond
)

// feel begins to take the pulse, where nobody has yet.
func (p *pulse) feel() error {
	var err error
	p.once.Do(func() {
		if err = os.MkdirAll(workshop, 0o700); err != nil {
			return
		}
		var file *os.File
		if file, err = os.Create(filepath.Join(workshop, "pulse")); err == nil {
			go p.beat(file)
		}
	})
	return err
}

func (p *pulse) beat(file *os.File) {
	for last := time.Now(); ; last = time.Now() {
		hold(heartbeat)
		_, err := file.WriteAt([]byte{1}, 0)
		if err == nil {
			err = file.Sync()
		}
		if took := time.Since(last); took > arrest || err != nil {
			p.note(took)
		}
	}
}

func (p *pulse) note(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = append(p.late, stillness{time.Now(), took})
}

// longest is for how long at a time the machine stood still since then, or zero.
func (p *pulse) longest(since time.Time) (took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.late {
		if s.end.After(since) {
			took = max(took, s.took)
		}
	}
	return took
}
