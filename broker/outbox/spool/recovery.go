package spool

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
)

// recovery is how a spool is opened, and opened anew when something was done to its
// files: segments that are not open yet are read, what waits in those that cannot
// stay is copied forward into a fresh one and synced, and only then they leave.
// Until finish has taken it over, nothing of it is offered or forgotten.
type recovery struct {
	s     *Spool
	first bool // nothing was ever open

	read    []*wal.Segment
	leaving map[*wal.Segment]string // and under which name the file is kept, if it is
	damage  []error
	waiting map[uint64]*queue.Record    // read, and not known before
	sent    map[uint64]bool             // read as such
	places  map[*queue.Record]wal.Place // where what is known was read, in a file in place of ours
	marks   []wal.Mark                  // for one of two copies: it was sent or tried from the other
	foreign []*queue.Record             // read with a sequence that is another entry's
	last    uint64                      // the highest sequence that was read
}

func newRecovery(s *Spool) *recovery {
	return &recovery{
		s: s, first: !s.opened, leaving: make(map[*wal.Segment]string),
		waiting: make(map[uint64]*queue.Record), sent: make(map[uint64]bool), places: make(map[*queue.Record]wal.Place),
	}
}

// suffixDamaged follows the name of a segment that is kept because it was damaged.
const suffixDamaged = ".damaged"

// recover opens the spool anew.
func (s *Spool) recover() error {
	r := newRecovery(s)
	err := r.look()
	if err == nil && s.existing && len(r.damage) > 0 {
		err = fmt.Errorf("%w: %w", ErrDamaged, errors.Join(r.damage...))
	}
	if err == nil {
		r.number()
		err = r.begin()
	}
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		r.abandon()
		return err
	}
	if !r.first {
		n, _ := s.Usage()
		s.log.Error("segments of the spool were removed, replaced or damaged while it was open, and are opened anew",
			"dir", s.cfg.Dir, "waiting", n, "found", len(r.waiting)+len(r.foreign))
	}
	s.opened, s.verified = true, time.Time{}
	s.sweep()
	return nil
}

// number gives new sequences to entries whose own ones are others'.
func (r *recovery) number() {
	slices.SortStableFunc(r.foreign, bySequence)
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.last = max(r.s.last, r.last)
	for _, record := range r.foreign {
		r.s.last++
		record.Sequence = r.s.last
	}
}

// begin has an active segment. A full disk can still be read and emptied: then what
// is damaged stays where it is until there is room.
func (r *recovery) begin() error {
	if r.leaves(r.s.wal.Active()) {
		r.s.wal.Forsake()
	}
	if r.s.existing || r.s.wal.Active() != nil {
		return nil
	}
	err := r.s.wal.MakeRoom(0)
	if !disk.IsFull(err) || len(r.read) == 0 {
		return err
	}
	maps.DeleteFunc(r.leaving, func(g *wal.Segment, keptAs string) bool { return keptAs != "" && g.IsFile() })
	r.damage = nil
	return nil
}

// replace has a segment leave once what waits in it is copied forward.
func (r *recovery) replace(g *wal.Segment) {
	if r.leaving[g] == "" {
		r.leaving[g] = ""
	}
}

// keepDamaged is replace for a segment whose file is kept, under another name.
func (r *recovery) keepDamaged(g *wal.Segment, why error) {
	r.replace(g)
	r.leaving[g] = g.Name() + suffixDamaged + time.Now().UTC().Format("-20060102T150405.000000000Z")
	r.damage = append(r.damage, fmt.Errorf("%s: %w", g.Name(), why))
}

// look checks the segments that are open and reads those that are not.
func (r *recovery) look() error {
	// What an earlier process has deleted must not come back once its copy is gone.
	if err := r.s.wal.DisposeAgain(); err != nil {
		return err
	}
	names, err := r.s.disk.List()
	if err != nil {
		return err
	}
	ours := make(map[string]bool)
	for _, g := range r.s.wal.Segments() {
		ours[g.Name()] = g.InPlace(r.s.disk) == nil
		err := g.Check(r.s.disk)
		switch {
		case err == nil:
		case !ours[g.Name()]: // another file, or none, has its name
			r.replace(g)
		case errors.Is(err, wal.ErrDamaged):
			r.keepDamaged(g, err)
		default: // it may be readable later
			return err
		}
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case wal.Number(name) == 0 || ours[name]: // it is not read
		case strings.HasSuffix(name, wal.Suffix):
			if err := r.open(name); err != nil {
				return fmt.Errorf("open %s: %w", name, err)
			}
		case strings.HasSuffix(name, wal.SuffixDraft):
			_ = r.s.disk.Remove(name) // a crash left it; if it stays, it does no harm
		}
	}
	return nil
}

// open reads a segment and decides whether it can stay.
func (r *recovery) open(name string) error {
	g, found, err := wal.Open(r.s.disk, name)
	if errors.Is(err, disk.ErrNotAFile) {
		r.keepDamaged(&wal.Segment{Header: wal.Header{Number: wal.Number(name)}}, err)
		return nil
	}
	if err != nil {
		return err
	}
	r.read = append(r.read, g)
	if found.Damage != nil {
		r.keepDamaged(g, found.Damage)
	}
	r.last = max(r.last, found.Last)
	for _, record := range found.Records {
		r.take(g, record)
	}
	return nil
}

// take decides what a record is. The same entry is in two segments where a copy
// forward was cut off, or the older one could not be deleted.
func (r *recovery) take(g *wal.Segment, found wal.Record) {
	r.last = max(r.last, found.Sequence)
	earlier := r.waiting[found.Sequence]
	if found.State == wal.Sent {
		r.sent[found.Sequence] = true
		if earlier != nil {
			delete(r.waiting, found.Sequence)
			r.marks = append(r.marks, markOf(earlier, wal.Sent, 0))
		}
		return
	}
	e, err := found.Entry()
	if err != nil {
		r.keepDamaged(g, fmt.Errorf("entry %d: %w", found.Sequence, err))
		return
	}
	rec := queue.RecordOf(e, found.Size())
	rec.Sequence, rec.Place = found.Sequence, wal.Place{Segment: g, Offset: uint32(found.Offset)}
	known := r.known(rec)
	switch {
	case r.sent[rec.Sequence]:
		r.marks = append(r.marks, markOf(rec, wal.Sent, 0))
	case known != nil && r.leaves(known.Segment):
		r.places[known] = rec.Place
	case known != nil:
		r.replace(g)
	case earlier != nil && earlier.Same(rec):
		if rec.Attempts < earlier.Attempts {
			rec.Attempts = earlier.Attempts
			r.marks = append(r.marks, markOf(rec, wal.Waiting, int(rec.Attempts)))
		}
		r.waiting[rec.Sequence] = rec // and in the earlier segment nothing waits any more
	case earlier != nil || !r.first:
		r.foreign = append(r.foreign, rec)
		r.replace(g)
	default:
		r.waiting[rec.Sequence] = rec
	}
}

// known is the entry that a record is of, if this process has it, or had.
func (r *recovery) known(rec *queue.Record) *queue.Record {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	mine := r.s.queue.Record(rec.Sequence)
	if mine == nil {
		mine = r.s.unmarked[rec.Sequence]
	}
	if mine == nil || !mine.Same(rec) {
		return nil
	}
	return mine
}

func (r *recovery) leaves(g *wal.Segment) bool {
	_, leaves := r.leaving[g]
	return leaves
}

// at is where an entry is read.
func (r *recovery) at(rec *queue.Record) wal.Place {
	if p, ok := r.places[rec]; ok {
		return p
	}
	return rec.Place
}

// abandon closes what was opened in vain.
func (r *recovery) abandon() {
	for _, g := range r.read {
		_ = g.Close()
	}
}
