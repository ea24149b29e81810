package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/internal/atomicfile"
	"github.com/sine-relay/sine-relay/visit"
)

// Called with the lock of the files held, but for what says otherwise.

// windowSegment is a segment and what is known of the messages in it.
type windowSegment struct {
	*segment
	messages       int
	oldest, newest time.Time
}

// entries returns those that can be read. It needs no lock: a segment that is read is
// not appended to.
func (g *windowSegment) entries() (all []Entry) {
	content, _ := readSegment(g.file, g.size)
	for _, r := range scanSegment(content).records {
		if e, err := decode(r.payload); err == nil {
			all = append(all, e)
		}
	}
	return all
}

func (g *windowSegment) read() (all []visit.Message) {
	for _, e := range g.entries() {
		e.Message.OrderingKey = e.Order
		all = append(all, e.Message)
	}
	return all
}

func (g *windowSegment) note(at time.Time) {
	if g.messages == 0 || at.Before(g.oldest) {
		g.oldest = at
	}
	if g.messages == 0 || at.After(g.newest) {
		g.newest = at
	}
	g.messages++
}

// load opens what an earlier process has left, which may end anywhere.
func (w *Window) load() error {
	names, err := w.disk.list()
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		number := numberOf(name)
		if number == 0 {
			continue
		}
		w.number = max(w.number, number)
		if !strings.HasSuffix(name, suffixSegment) || !w.open(name, number) {
			if err := w.disk.remove(name); err != nil {
				return err
			}
		}
	}
	w.servers = w.readServers()
	return nil
}

// open reports whether there is anything in a segment.
func (w *Window) open(name string, number uint64) bool {
	f, err := w.disk.open(name)
	if err != nil {
		return false
	}
	size, err := w.disk.check(name, f)
	if err != nil {
		f.Close()
		return false
	}
	g := &windowSegment{segment: &segment{header: header{number: number, size: size}, file: f, end: size}}
	for _, e := range g.entries() {
		g.note(e.Stored)
	}
	if g.messages == 0 {
		f.Close()
		return false
	}
	w.segments = append(w.segments, g)
	return true
}

// flush writes what was added. What cannot be written is left out.
func (w *Window) flush() {
	queue := w.waiting()
	now := time.Now()
	for len(queue) > 0 {
		n, err := w.append(queue, now)
		if err != nil {
			w.omit(len(queue), err)
			return
		}
		queue = queue[n:]
	}
}

// append writes as many messages as fit into the active segment, and returns how many
// that are.
func (w *Window) append(queue []visit.Message, now time.Time) (n int, err error) {
	b := w.buffer[:0]
	g := w.active
	for n < len(queue) {
		start := len(b)
		b = appendRecord(b, Entry{Message: queue[n], Order: queue[n].OrderingKey, Stored: now})
		if n == 0 && (g == nil || g.end+int64(len(b)) > g.size) {
			if g, err = w.begin(int64(len(b))); err != nil {
				return 0, err
			}
		}
		if g.end+int64(len(b)) > g.size || len(b) > maxWindowWrite && n > 0 {
			b = b[:start]
			break
		}
		seal(b[start:], g.id, uint64(n)+1, g.end, 0)
		n++
	}
	w.buffer = b
	if cap(b) > 2*maxWindowWrite {
		w.buffer = nil
	}
	if _, err := g.file.WriteAt(b, g.end); err != nil {
		w.active = nil
		return 0, err
	}
	g.end += int64(len(b))
	for range n {
		g.note(now)
	}
	return n, nil
}

// begin makes a segment, and forgets the oldest ones where there would be too many.
func (w *Window) begin(record int64) (*windowSegment, error) {
	w.active = nil
	for total := w.total() + max(w.cfg.segment, record); total > w.cfg.MaxBytes && len(w.segments) > 0; {
		total -= w.segments[0].size
		w.forget(w.segments[0])
	}
	w.number++
	g, err := createSegment(w.disk, header{number: w.number, size: w.cfg.segment}, record)
	if err == nil {
		err = w.disk.rename(draftName(g.number), g.name()) // without a sync: it need not outlast this machine
	}
	if err != nil {
		return nil, fmt.Errorf("begin a segment: %w", err)
	}
	w.active = &windowSegment{segment: g}
	w.segments = append(w.segments, w.active)
	return w.active, nil
}

func (w *Window) total() (bytes int64) {
	for _, g := range w.segments {
		bytes += g.size
	}
	return bytes
}

// expire forgets segments whose messages are all old enough. It ends the active one
// early, so that no message stays for much longer than it should.
func (w *Window) expire() {
	now := time.Now()
	if g := w.active; g != nil && now.Sub(g.oldest) > w.cfg.MaxAge/4 {
		w.active = nil
	}
	for _, g := range slices.Clone(w.segments) {
		if g != w.active && now.Sub(g.newest) > w.cfg.MaxAge {
			w.forget(g)
		}
	}
}

// forget deletes a segment. One whose file another has removed is forgotten, too.
func (w *Window) forget(g *windowSegment) {
	if w.active == g {
		w.active = nil
	}
	w.segments = slices.DeleteFunc(w.segments, func(other *windowSegment) bool { return other == g })
	if _, err := w.disk.check(g.name(), g.file); err == nil {
		if err := w.disk.remove(g.name()); err != nil {
			w.complain("cannot delete", err)
		}
	}
	g.file.Close()
}

// omit counts messages that are not kept.
func (w *Window) omit(n int, err error) {
	w.mu.Lock()
	w.leftOut += uint64(n)
	w.mu.Unlock()
	w.complain("cannot write", err)
}

func (w *Window) complain(what string, err error) {
	if w.throttle.Due(what, time.Now()) > 0 {
		w.cfg.Logger.Warn("the window of acknowledged messages: "+what, "dir", w.cfg.Dir, "err", err.Error())
	}
}

// serversFile has the ids of the receivers that are known to have run since what is in
// the window was acknowledged; maxServers of them, the newest last.
const (
	serversFile = "servers.json"
	maxServers  = 64
)

// Knows reports whether a server has been remembered: it has not started anew since.
func (w *Window) Knows(server string) bool {
	w.files.Lock()
	defer w.files.Unlock()
	return slices.Contains(w.servers, server)
}

// Remember notes that a server runs, also for the next process.
func (w *Window) Remember(server string) error {
	w.files.Lock()
	defer w.files.Unlock()
	servers := append(slices.Clone(w.servers), server)
	servers = servers[max(0, len(servers)-maxServers):]
	content, err := json.Marshal(servers)
	if err == nil {
		err = atomicfile.Write(filepath.Join(w.cfg.Dir, serversFile), content)
	}
	if err != nil {
		return fmt.Errorf("remember the server of the window: %w", err)
	}
	w.servers = servers
	return nil
}

// readServers returns none where the file cannot be read: then what is in the window is
// sent again.
func (w *Window) readServers() (servers []string) {
	content, err := os.ReadFile(filepath.Join(w.cfg.Dir, serversFile))
	if err == nil {
		err = json.Unmarshal(content, &servers)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.complain("cannot read which servers are known", err)
	}
	return servers
}
