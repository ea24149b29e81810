package window

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/visit"
)

// Run is the messages of one ordering key that are in the window, in the order in which
// they were added. It is for one goroutine at a time.
type Run struct {
	window  *Window
	records []record
	dropped []int
}

// record is where a message is.
type record struct {
	*segment
	offset, size uint32
	sequence     uint64 // in its batch
}

func (r record) place() wal.Place { return wal.Place{Segment: r.Segment, Offset: r.offset} }

// Acknowledged is a message that a receiver has acknowledged: at first at a time, which
// is so long ago.
type Acknowledged struct {
	Message visit.Message
	At      time.Time
	Age     time.Duration
}

// Len is how many messages the run has.
func (r *Run) Len() int { return len(r.records) }

// Read returns a message, and reports whether it can be read.
func (r *Run) Read(i int) (Acknowledged, bool) {
	one := r.records[i]
	found, err := one.Read(one.place(), int64(one.size))
	if err == nil {
		var e wal.Entry
		if e, err = found.Entry(); err == nil {
			e.Message.OrderingKey = e.Order
			return Acknowledged{Message: e.Message, At: e.Stored, Age: r.window.now().Sub(e.Stored)}, true
		}
	}
	r.window.complain("cannot read a message", err)
	return Acknowledged{}, false
}

// Drop has a message be in the window no more once the review is over: it is kept
// elsewhere.
func (r *Run) Drop(i int) { r.dropped = append(r.dropped, i) }

// Review calls fn with what was added before, the run with the oldest message first, and
// returns its error. What fn does not drop stays in the window, at its place: for as long
// as if it were acknowledged now, where fn returns nil. Messages that cannot be read are
// passed over.
func (w *Window) Review(fn func([]*Run) error) error {
	w.files.Lock()
	w.flush()
	parts := make([]part, len(w.segments))
	for i, g := range w.segments {
		g.reviewed = true
		parts[i] = part{g, g.Size - g.Free()}
	}
	w.files.Unlock()
	runs := w.runs(parts)
	err := fn(runs)
	w.files.Lock()
	defer w.files.Unlock()
	w.drop(runs)
	for _, g := range parts {
		g.reviewed = false
		if err == nil {
			g.newest = time.Now()
		}
	}
	return err
}

// part is a segment up to an offset. Behind that it may be appended to.
type part struct {
	*segment
	end int64
}

// runs looks through segments. It needs no lock.
func (w *Window) runs(parts []part) (runs []*Run) {
	byKey := make(map[string]*Run)
	for _, g := range parts {
		content, failed := g.Content()
		if failed != nil {
			w.complain("cannot read all of it", failed)
		}
		for _, r := range kept(content) {
			e, err := r.Entry()
			if err != nil || r.Offset >= g.end {
				continue
			}
			run := byKey[e.Order]
			if run == nil {
				run = &Run{window: w}
				byKey[e.Order], runs = run, append(runs, run)
			}
			run.records = append(run.records, record{g.segment, uint32(r.Offset), uint32(r.Size()), r.Sequence})
		}
	}
	return runs
}

// kept are the records of those messages that were not dropped.
func kept(c wal.Content) []wal.Record {
	return slices.DeleteFunc(c.Records, func(r wal.Record) bool { return r.State == wal.Sent })
}

// drop marks messages of runs. One that cannot be marked is kept twice, which does no
// harm. It is called with the lock of the files held.
func (w *Window) drop(runs []*Run) {
	var marks []wal.Mark
	for _, run := range runs {
		for _, i := range run.dropped {
			r := run.records[i]
			marks = append(marks, wal.Mark{Place: r.place(), Sequence: r.sequence, State: wal.Sent})
			r.messages--
			w.messages.Add(-1)
		}
	}
	if err := wal.WriteMarks(marks); err != nil {
		w.complain("cannot mark what is in the spool", err)
	}
}
