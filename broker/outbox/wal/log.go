package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
)

// Log is the segments of a directory, and those that are on their way out of it. It is
// used by one goroutine at a time, but for Bytes.
type Log struct {
	disk     disk.Disk
	size     int64 // of a segment
	last     func() uint64
	segments []*Segment // by number
	active   *Segment   // which is appended to; nil where none could be made
	number   uint64     // of the newest segment
	leaving  map[*Segment]string
	unsynced bool // files have left and the directory was not synced
	bytes    atomic.Int64
}

// NewLog returns a log without segments; its segments are to be of so many bytes. last is
// asked for the last sequence that was given out when one begins.
func NewLog(d disk.Disk, size int64, last func() uint64) *Log {
	return &Log{disk: d, size: size, last: last, leaving: make(map[*Segment]string)}
}

// Segments are those that have not left, by number. They are not to be changed.
func (l *Log) Segments() []*Segment { return l.segments }

// Active is the segment that is appended to, or nil.
func (l *Log) Active() *Segment { return l.active }

// Bytes is the size of all segments.
func (l *Log) Bytes() int64 { return l.bytes.Load() }

// Append writes and syncs as many of the frames as make one batch, and returns how
// many that are, with what became of them. After an error their segment is not
// appended to any more: what of it is on the disk is not known.
func (l *Log) Append(frames []*Frame) (int, error) {
	if err := l.MakeRoom(int64(len(frames[0].Value))); err != nil {
		return 1, err
	}
	n, err := l.active.Fill(frames)
	if err != nil {
		l.Retire()
	}
	return n, err
}

// MakeRoom has an active segment with room for a record of so many bytes.
func (l *Log) MakeRoom(record int64) error {
	if l.active != nil && record <= l.active.Free() {
		return nil
	}
	g, err := l.New(l.size, record, func(*Segment) error { return nil })
	if err != nil {
		return fmt.Errorf("begin a segment: %w", err)
	}
	l.Retire()
	l.active = g
	l.Adopt(g)
	return nil
}

// New makes a segment, which has its name once it was filled and synced. It is not one
// of the log's before [Log.Adopt].
func (l *Log) New(size, records int64, fill func(*Segment) error) (*Segment, error) {
	names, err := l.disk.List()
	if err != nil {
		return nil, err
	}
	for _, name := range names { // a file that another put there is not replaced
		l.number = max(l.number, Number(name))
	}
	l.number++
	g, err := Create(l.disk, Header{Number: l.number, Last: l.last(), Size: size}, records)
	if err != nil {
		return nil, err
	}
	if err = fill(g); err == nil {
		err = g.Publish(l.disk)
	}
	if err != nil {
		_ = l.disk.Remove(DraftName(g.Number)) // or the next start does
		l.Leave(g, "")
		return nil, err
	}
	return g, nil
}

// Adopt adds segments.
func (l *Log) Adopt(segments ...*Segment) {
	l.setSegments(slices.SortedFunc(slices.Values(slices.Concat(l.segments, segments)), func(a, b *Segment) int {
		return cmp.Compare(a.Number, b.Number)
	}))
}

func (l *Log) setSegments(all []*Segment) {
	l.segments = all
	var bytes int64
	for _, g := range all {
		bytes += g.Size
	}
	l.bytes.Store(bytes)
}

// Retire ends the active segment. Where that cannot be written down, what was torn
// at its end is found by the next start, and may be sent although it was refused.
func (l *Log) Retire() {
	if l.active != nil && l.active.Check(l.disk) == nil {
		_ = l.active.Finish()
	}
	l.active = nil
}

// Forsake has nothing appended to the active segment any more, which is not as it was
// written.
func (l *Log) Forsake() { l.active = nil }

// Sweep deletes the segments in which nothing waits, once what leaves before them
// has left for good: of what was copied forward the copy must not go first. The last
// segment stays, because it says which sequences were given out.
func (l *Log) Sweep(waits func(*Segment) bool) {
	if l.Dispose() != nil {
		return
	}
	for _, g := range slices.Clone(l.segments) {
		if !waits(g) && g != l.Last() {
			l.Leave(g, "")
		}
	}
	_ = l.Dispose() // or it is tried again
}

// Last is the active segment, or else the one with the highest number, or nil.
func (l *Log) Last() *Segment {
	if l.active != nil || len(l.segments) == 0 {
		return l.active
	}
	return l.segments[len(l.segments)-1]
}

// Renew has the last segment begin anew, in which nothing waits, so that nothing of what
// was in it stays on the disk, be it full.
func (l *Log) Renew() {
	g := l.Last()
	fresh, err := g.Rewind(l.last())
	if err == nil && l.active == g {
		l.active = fresh
	} else {
		l.active = nil // and it is deleted once there is another
	}
	l.segments[slices.Index(l.segments, g)] = fresh
}

// Leave has the file of a segment go, of which nothing is needed any more: under
// another name, or else it is deleted. It is gone for good after [Log.Dispose].
func (l *Log) Leave(g *Segment, keptAs string) {
	l.leaving[g] = keptAs
	l.setSegments(slices.DeleteFunc(l.segments, func(other *Segment) bool { return other == g }))
}

// Dispose has the files that leave gone for good.
func (l *Log) Dispose() (err error) {
	for g, keptAs := range l.leaving {
		if failed := l.depart(g, keptAs); failed != nil {
			err = fmt.Errorf("remove a segment: %w", failed)
			continue
		}
		delete(l.leaving, g)
		l.unsynced = true
	}
	if l.unsynced && err == nil {
		err = l.disk.Sync()
		l.unsynced = err != nil
	}
	return err
}

// DisposeAgain is [Log.Dispose] in any case with a sync: what an earlier process has
// deleted must not come back.
func (l *Log) DisposeAgain() error {
	l.unsynced = true
	return l.Dispose()
}

// depart has the file go from its path. That of another that has taken the name is
// left alone.
func (l *Log) depart(g *Segment, keptAs string) error {
	err := g.InPlace(l.disk)
	switch {
	case errors.Is(err, disk.ErrReplaced), errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil:
	case keptAs != "":
		err = l.disk.Rename(g.Name(), keptAs)
	default:
		err = l.disk.Remove(g.Name())
	}
	if err == nil {
		_ = g.Close()
	}
	return err
}

// Close ends the active segment and closes all files.
func (l *Log) Close() (err error) {
	l.Retire()
	for _, g := range l.segments {
		err = errors.Join(err, g.Close())
	}
	for g := range l.leaving {
		err = errors.Join(err, g.Close())
	}
	return err
}
