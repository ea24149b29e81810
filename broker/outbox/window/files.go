package window

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/wal"
)

// Called with the lock of the files held, but for what says otherwise.

// segment is a segment and what is known of the messages in it.
type segment struct {
	*wal.Segment
	messages int64
	// oldest and newest are when they were added, found at the start, or all sent again.
	oldest, newest time.Time
	reviewed       bool // now, and not forgotten meanwhile
}

// open opens the files, under the lock of the directory.
func (w *Window) open() (err error) {
	w.held, err = w.disk.Lock()
	if err == nil {
		err = w.load()
	}
	if err == nil {
		err = w.loadServers()
	}
	if err != nil {
		w.closeFiles()
		w.complain("cannot open, so that nothing is kept", err)
		return err
	}
	w.opened.Store(true)
	return nil
}

func (w *Window) closeFiles() {
	for _, g := range w.segments {
		_ = g.Close()
	}
	if w.held != nil {
		w.held.Release()
	}
	w.segments, w.held = nil, nil
	w.messages.Store(0)
	w.bytes.Store(0)
}

// load opens what an earlier process has left, which may end anywhere.
func (w *Window) load() error {
	names, err := w.disk.List()
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		number := wal.Number(name)
		if number == 0 {
			continue
		}
		w.number = max(w.number, number)
		if !strings.HasSuffix(name, wal.Suffix) || !w.openSegment(name) {
			if err := w.disk.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// openSegment reports whether there is anything in a segment.
func (w *Window) openSegment(name string) bool {
	g, content, err := wal.Open(w.disk, name)
	if err != nil {
		return false
	}
	n := len(kept(content))
	if n == 0 {
		_ = g.Close()
		return false
	}
	found := &segment{Segment: g}
	w.include(found)
	w.note(found, n)
	return true
}

func (w *Window) include(g *segment) {
	w.segments = append(w.segments, g)
	w.bytes.Add(g.Size)
}

func (w *Window) note(g *segment, messages int) {
	g.newest = time.Now()
	if g.messages == 0 {
		g.oldest = g.newest
	}
	g.messages += int64(messages)
	w.messages.Add(int64(messages))
}

// flush writes what was added. What cannot be written is left out.
func (w *Window) flush() {
	queue := w.waiting()
	if !w.IsOpen() {
		w.leftOut.Add(int64(len(queue)))
		return
	}
	for len(queue) > 0 {
		n, err := w.append(queue)
		if err != nil {
			w.leftOut.Add(int64(len(queue)))
			w.complain("cannot write", err)
			return
		}
		queue = queue[n:]
	}
}

// append writes as many messages as fit into the active segment, and returns how many
// that are.
func (w *Window) append(queue []wal.Entry) (n int, err error) {
	b := w.buffer[:0]
	g := w.active
	for n < len(queue) && (n == 0 || len(b)+len(queue[n].Message.Data) <= maxWrite) {
		start := len(b)
		b = wal.AppendEntry(b, queue[n])
		if n == 0 && (g == nil || int64(len(b)) > g.Free()) {
			if g, err = w.begin(int64(len(b))); err != nil {
				return 0, err
			}
		}
		if int64(len(b)) > g.Free() {
			b = b[:start]
			break
		}
		g.Seal(b[start:], uint64(n)+1, 0)
		n++
	}
	w.buffer = b
	if cap(b) > 4*maxWrite { // it was for a message that is larger than most
		w.buffer = nil
	}
	if err := g.Append(b); err != nil {
		w.active = nil
		return 0, err
	}
	w.note(g, n)
	return n, nil
}

// spareBytes is what the window leaves free of the disk, for the spool.
const spareBytes = 64 << 20

var errSpare = errors.New("the rest of the disk is for the spool")

// begin makes a segment, and forgets the oldest ones where there would be too many.
func (w *Window) begin(record int64) (*segment, error) {
	w.active = nil
	size := max(w.cfg.segment, record)
	for _, g := range slices.Clone(w.segments) {
		if w.bytes.Load()+size > w.cfg.MaxBytes && !g.reviewed {
			w.forget(g)
		}
	}
	if free, _, err := w.disk.Space(); err == nil && free > 0 && free < spareBytes+size {
		return nil, errSpare
	}
	g, err := w.create(record)
	if errors.Is(err, fs.ErrNotExist) { // another has removed the directory
		if err = w.lockAgain(); err == nil {
			g, err = w.create(record)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("begin a segment: %w", err)
	}
	w.active = &segment{Segment: g}
	w.include(w.active)
	return w.active, nil
}

func (w *Window) create(record int64) (*wal.Segment, error) {
	w.number++
	g, err := wal.Create(w.disk, wal.Header{Number: w.number, Size: w.cfg.segment}, record)
	if err == nil {
		err = g.PublishUnsynced(w.disk)
	}
	return g, err
}

func (w *Window) lockAgain() error {
	held, err := w.disk.Lock()
	if err == nil {
		w.held.Release()
		w.held = held
	}
	return err
}

// expire forgets segments whose messages were all old enough when the receiver was last
// known to have them. It ends the active one early, so that no message stays for much
// longer than it should.
func (w *Window) expire() {
	if g := w.active; g != nil && time.Since(g.oldest) > w.cfg.MaxAge/4 {
		w.active = nil
	}
	confirmed := w.confirmedAt()
	for _, g := range slices.Clone(w.segments) {
		if g != w.active && !g.reviewed && confirmed.Sub(g.newest) > w.cfg.MaxAge {
			w.forget(g)
		}
	}
}

// forget deletes a segment. One whose file another has removed is forgotten, too.
func (w *Window) forget(g *segment) {
	if w.active == g {
		w.active = nil
	}
	w.segments = slices.DeleteFunc(w.segments, func(other *segment) bool { return other == g })
	w.bytes.Add(-g.Size)
	w.messages.Add(-g.messages)
	if g.InPlace(w.disk) == nil {
		if err := w.disk.Remove(g.Name()); err != nil {
			w.complain("cannot delete", err)
		}
	}
	_ = g.Close()
}

// complain needs no lock.
func (w *Window) complain(what string, err error) {
	if w.throttle.Due(what, time.Now()) > 0 {
		w.cfg.Logger.Warn("the window of acknowledged messages: "+what, "dir", w.cfg.Dir, "err", err.Error())
	}
}
