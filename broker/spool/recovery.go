package spool

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// recovery is how a spool is opened, and opened anew when something was done to its
// files: segments that are not open yet are read, what waits in those that cannot
// stay is copied forward into a fresh one and synced, and only then they leave.
// Until finish has taken it over, nothing of it is offered or forgotten.
type recovery struct {
	s     *Spool
	first bool // nothing was ever open

	read    []*segment
	leaving map[*segment]string // and under which name the file is kept, if it is
	damage  []error
	waiting map[uint64]*record // read, and not known before
	sent    map[uint64]bool    // read as such
	places  map[*record]place  // where what is known was read, in a file in place of ours
	marks   []mark             // for one of two copies: it was sent or tried from the other
	foreign []*record          // read with a sequence that is another entry's
	last    uint64             // the highest sequence that was read
}

func newRecovery(s *Spool) *recovery {
	return &recovery{
		s: s, first: !s.opened, leaving: make(map[*segment]string),
		waiting: make(map[uint64]*record), sent: make(map[uint64]bool), places: make(map[*record]place),
	}
}

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
		record.sequence = r.s.last
	}
}

// begin has an active segment. A full disk can still be read and emptied: then what
// is damaged stays where it is until there is room.
func (r *recovery) begin() error {
	if r.leaves(r.s.active) {
		r.s.active = nil
	}
	if r.s.existing || r.s.active != nil {
		return nil
	}
	err := r.s.turn(0)
	if !noRoom(err) || len(r.read) == 0 {
		return err
	}
	maps.DeleteFunc(r.leaving, func(g *segment, keptAs string) bool { return keptAs != "" && g.file != nil })
	r.damage = nil
	return nil
}

// replace has a segment leave once what waits in it is copied forward.
func (r *recovery) replace(g *segment) {
	if r.leaving[g] == "" {
		r.leaving[g] = ""
	}
}

// keepDamaged is replace for a segment whose file is kept, under another name.
func (r *recovery) keepDamaged(g *segment, why error) {
	r.replace(g)
	r.leaving[g] = g.name() + suffixDamaged + time.Now().UTC().Format("-20060102T150405.000000000Z")
	r.damage = append(r.damage, fmt.Errorf("%s: %w", g.name(), why))
}

// look checks the segments that are open and reads those that are not.
func (r *recovery) look() error {
	// What an earlier process has deleted must not come back once its copy is gone.
	r.s.unsynced = true
	if err := r.s.dispose(); err != nil {
		return err
	}
	names, err := r.s.disk.list()
	if err != nil {
		return err
	}
	ours := make(map[string]bool)
	for _, g := range r.s.segments {
		_, err := r.s.disk.check(g.name(), g.file)
		ours[g.name()] = err == nil
		err = g.check(r.s.disk)
		switch {
		case err == nil:
		case !ours[g.name()]: // another file, or none, has its name
			r.replace(g)
		case errors.Is(err, ErrDamaged):
			r.keepDamaged(g, err)
		default: // it may be readable later
			return err
		}
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case numberOf(name) == 0 || ours[name]: // it is not read
		case strings.HasSuffix(name, suffixSegment):
			if err := r.open(name); err != nil {
				return fmt.Errorf("open %s: %w", name, err)
			}
		case strings.HasSuffix(name, suffixDraft):
			_ = r.s.disk.remove(name) // a crash left it; if it stays, it does no harm
		}
	}
	return nil
}

// open reads a segment and decides whether it can stay.
func (r *recovery) open(name string) error {
	g := &segment{header: header{number: numberOf(name)}}
	f, err := r.s.disk.open(name)
	if errors.Is(err, errNotAFile) {
		r.keepDamaged(g, err)
		return nil
	}
	if err != nil {
		return err
	}
	size, err := r.s.disk.check(name, f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	g.file = f
	r.read = append(r.read, g)
	content, failed := readSegment(f, size)
	found := scanSegment(content)
	if found.damage == nil && found.number != g.number {
		found.damage = fmt.Errorf("it is segment %x", found.number)
	}
	if err := errors.Join(found.damage, failed); err != nil {
		r.keepDamaged(g, err)
	}
	g.id, g.size, g.last, g.end = found.id, size, found.last, headerBytes
	r.last = max(r.last, found.last)
	for _, record := range found.records {
		g.end = record.offset + record.size()
		r.take(g, record)
	}
	return nil
}

// take decides what a record is. The same entry is in two segments where a copy
// forward was cut off, or the older one could not be deleted.
func (r *recovery) take(g *segment, found stored) {
	r.last = max(r.last, found.sequence)
	earlier := r.waiting[found.sequence]
	if found.state == stateSent {
		r.sent[found.sequence] = true
		if earlier != nil {
			delete(r.waiting, found.sequence)
			r.marks = append(r.marks, mark{earlier.place, found.sequence, stateSent, 0})
		}
		return
	}
	e, err := decode(found.payload)
	if err != nil {
		r.keepDamaged(g, fmt.Errorf("entry %d: %w", found.sequence, err))
		return
	}
	e.Attempts = found.attempts
	rec := recordOf(e, found.size())
	rec.sequence, rec.place = found.sequence, place{g, uint32(found.offset)}
	known := r.known(rec)
	switch {
	case r.sent[rec.sequence]:
		r.marks = append(r.marks, mark{rec.place, rec.sequence, stateSent, 0})
	case known != nil && r.leaves(known.segment):
		r.places[known] = rec.place
	case known != nil:
		r.replace(g)
	case earlier != nil && earlier.same(rec):
		if rec.attempts < earlier.attempts {
			rec.attempts = earlier.attempts
			r.marks = append(r.marks, mark{rec.place, rec.sequence, stateWaiting, int(rec.attempts)})
		}
		r.waiting[rec.sequence] = rec // and in the earlier segment nothing waits any more
	case earlier != nil || !r.first:
		r.foreign = append(r.foreign, rec)
		r.replace(g)
	default:
		r.waiting[rec.sequence] = rec
	}
}

// known is the entry that a record is of, if this process has it, or had.
func (r *recovery) known(rec *record) *record {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	mine := r.s.index.records[rec.sequence]
	if mine == nil {
		mine = r.s.unmarked[rec.sequence]
	}
	if mine == nil || !mine.same(rec) {
		return nil
	}
	return mine
}

func (r *recovery) leaves(g *segment) bool {
	_, leaves := r.leaving[g]
	return leaves
}

// at is where an entry is read.
func (r *recovery) at(rec *record) place {
	if p, ok := r.places[rec]; ok {
		return p
	}
	return rec.place
}

// abandon closes what was opened in vain.
func (r *recovery) abandon() {
	for _, g := range r.read {
		g.file.Close()
	}
}
