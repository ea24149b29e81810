package streams

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// A stream that no longer has what it had acknowledged is an alarm. By default a NATS
// server acknowledges first and syncs within minutes: with its power it loses the
// messages of that time, and a stream that is as young. A cluster whose new leader has
// not caught up yet looks the same for a moment.

// lossShown is for how long a loss is part of the status.
const lossShown = time.Hour

// loss is what is known about acknowledged messages that a stream does not have. The
// reconciler's lock guards it.
type loss struct {
	suspected time.Time // since when it seems so
	complete  time.Time // when it was certain that it is not so
	last      error
	at        time.Time
}

// recent is the loss of the last hour, or nil.
func (l loss) recent() error {
	if l.last == nil || time.Since(l.at) > lossShown {
		return nil
	}
	return l.last
}

// LastAcknowledged is the highest sequence that the stream of a root has acknowledged.
func (r *Reconciler) LastAcknowledged(root visit.Root) uint64 {
	if s := r.streamFor(root); s != nil {
		return s.acknowledged.Load()
	}
	return 0
}

// Acknowledged takes an acknowledgement of the stream of a root, for a message that was
// first sent when the highest sequence was before. A new message behind that is a loss:
// the stream has given the sequence a second time.
func (r *Reconciler) Acknowledged(root visit.Root, before uint64, ack *Ack) {
	s := r.streamFor(root)
	if s == nil || ack.Duplicate {
		return
	}
	if ack.Sequence <= before {
		r.noteLoss(s, before, finding{level: level{lastSequence: ack.Sequence}})
		return
	}
	for {
		highest := s.acknowledged.Load()
		if ack.Sequence <= highest || s.acknowledged.CompareAndSwap(highest, ack.Sequence) {
			return
		}
	}
}

// DedupeWindow is for how long the stream of a root recognises a repeat, as far as is
// known.
func (r *Reconciler) DedupeWindow(root visit.Root) time.Duration {
	s := r.streamFor(root)
	if s == nil {
		return r.cfg.DedupeWindow
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(s.dedupe, r.cfg.DedupeWindow)
}

// Complete is when an inspection last found all that the stream of a root had
// acknowledged before it; zero for never.
func (r *Reconciler) Complete(root visit.Root) time.Time {
	if s := r.streamFor(root); s != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return s.loss.complete
	}
	return time.Time{}
}

// Inspection is what the last inspection of a stream that came to an end says about which
// stream that is.
type Inspection struct {
	// Began is zero while there was none.
	Began time.Time
	// Created is when the stream was created, or zero where NATS does not permit to look.
	Created time.Time
}

// LastInspection is that of the stream of a root.
func (r *Reconciler) LastInspection(root visit.Root) Inspection {
	s := r.streamFor(root)
	if s == nil {
		return Inspection{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.looked
}

// compareLast compares the last sequence that an inspection found with what was
// acknowledged before it began. A stream that is behind is inspected once more before
// that is a loss. One that had to be created, or was created by somebody else since the
// last inspection, is lost at once, however many messages it has by now.
func (r *Reconciler) compareLast(s *stream, acknowledged uint64, began time.Time, f finding) {
	if f.pending != nil {
		return
	}
	r.mu.Lock()
	l := &s.loss
	before := s.looked
	noted := l.at.After(before.Began) // by an acknowledgement of the new one
	f.replaced = !f.created && !noted && !before.Created.IsZero() && !f.since.IsZero() && !f.since.Equal(before.Created)
	s.looked = Inspection{began, f.since}
	if f.since.IsZero() {
		s.looked.Created = before.Created
	}
	behind := f.lastSequence < acknowledged
	switch {
	case f.replaced: // it says nothing of what was acknowledged before
	case !behind:
		l.suspected, l.complete = time.Time{}, began
	case l.suspected.IsZero():
		l.suspected = began
	}
	confirmed := behind && (f.created || began.Sub(l.suspected) >= recheckInterval/2)
	r.mu.Unlock()
	switch {
	case f.replaced && acknowledged == 0 && r.lost != nil: // by an earlier process, perhaps
		r.lost(s.want.root)
	case f.replaced || confirmed:
		r.noteLoss(s, acknowledged, f)
	}
}

// noteLoss reports a loss once, by whomever it was noticed first.
func (r *Reconciler) noteLoss(s *stream, acknowledged uint64, f finding) {
	r.mu.Lock()
	again := s.acknowledged.Load() != acknowledged && !f.replaced // it went on, or was noted
	if !again {
		s.acknowledged.Store(f.lastSequence)
		s.loss = loss{last: lossOf(s.want.name, acknowledged, f), at: time.Now(), complete: s.loss.complete}
	}
	r.mu.Unlock()
	if again {
		return
	}
	r.metrics.losses.WithLabelValues(s.want.name).Inc()
	r.log.Error("NATS lost messages that it had acknowledged", "stream", s.want.name, "acknowledged", acknowledged, "last", f.lastSequence, "absent", f.created || f.replaced)
	if r.lost != nil && !f.created { // what was created was reported before that
		r.lost(s.want.root)
	}
}

func lossOf(stream string, acknowledged uint64, f finding) error {
	if f.created || f.replaced {
		return fmt.Errorf("stream %s was gone and was created anew: it had acknowledged messages up to sequence %d", stream, acknowledged)
	}
	return fmt.Errorf("stream %s lost messages: it had acknowledged them up to sequence %d, and ends at %d", stream, acknowledged, f.lastSequence)
}
