package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Called with the lock of the files held, but for what says otherwise.

// windowSegment is a segment and what is known of the messages in it.
type windowSegment struct {
	*segment
	messages       int64
	oldest, newest time.Time // when they were added, or found at the start
	taken          bool      // it is being sent again, and is not forgotten meanwhile
}

// read returns what can be read. It needs no lock: a segment that is read is not
// appended to.
func (w *Window) read(g *windowSegment) (all []Acknowledged) {
	content, failed := readSegment(g.file, g.size)
	if failed != nil {
		w.complain("cannot read all of it", failed)
	}
	for _, r := range scanSegment(content).records {
		if e, err := decode(r.payload); err == nil {
			e.Message.OrderingKey = e.Order
			all = append(all, Acknowledged{e.Message, e.Stored})
		}
	}
	return all
}

func (g *windowSegment) note(messages int64, at time.Time) {
	if g.messages == 0 {
		g.oldest = at
	}
	g.newest = at
	g.messages += messages
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
	found := w.read(g)
	if len(found) == 0 {
		f.Close()
		return false
	}
	w.include(g)
	w.note(g, len(found), time.Now())
	return true
}

func (w *Window) include(g *windowSegment) {
	w.segments = append(w.segments, g)
	w.bytes.Add(g.size)
}

func (w *Window) note(g *windowSegment, messages int, at time.Time) {
	g.note(int64(messages), at)
	w.messages.Add(int64(messages))
}

// flush writes what was added. What cannot be written is left out.
func (w *Window) flush() {
	queue := w.waiting()
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
func (w *Window) append(queue []kept) (n int, err error) {
	b := w.buffer[:0]
	g := w.active
	for n < len(queue) {
		start := len(b)
		b = appendRecord(b, Entry{Message: queue[n].Message, Order: queue[n].OrderingKey, Stored: queue[n].at})
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
	w.note(g, n, time.Now())
	return n, nil
}

// windowSpare is what the window leaves free of the disk, for the spool.
const windowSpare = 64 << 20

var errSpare = errors.New("the rest of the disk is for the spool")

// begin makes a segment, and forgets the oldest ones where there would be too many.
func (w *Window) begin(record int64) (*windowSegment, error) {
	w.active = nil
	size := max(w.cfg.segment, record)
	for _, g := range slices.Clone(w.segments) {
		if w.bytes.Load()+size > w.cfg.MaxBytes && !g.taken {
			w.forget(g)
		}
	}
	if free, _, err := w.disk.space(); err == nil && free > 0 && free < windowSpare+size {
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
	w.active = &windowSegment{segment: g}
	w.include(w.active)
	return w.active, nil
}

func (w *Window) create(record int64) (*segment, error) {
	w.number++
	g, err := createSegment(w.disk, header{number: w.number, size: w.cfg.segment}, record)
	if err == nil {
		err = w.disk.rename(draftName(g.number), g.name()) // without a sync: it need not outlast this machine
	}
	return g, err
}

func (w *Window) lockAgain() error {
	held, err := w.disk.lock()
	if err == nil {
		w.held.release()
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
		if g != w.active && !g.taken && confirmed.Sub(g.newest) > w.cfg.MaxAge {
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
	w.bytes.Add(-g.size)
	w.messages.Add(-g.messages)
	if _, err := w.disk.check(g.name(), g.file); err == nil {
		if err := w.disk.remove(g.name()); err != nil {
			w.complain("cannot delete", err)
		}
	}
	g.file.Close()
}

// complain needs no lock.
func (w *Window) complain(what string, err error) {
	if w.throttle.Due(what, time.Now()) > 0 {
		w.cfg.Logger.Warn("the window of acknowledged messages: "+what, "dir", w.cfg.Dir, "err", err.Error())
	}
}
