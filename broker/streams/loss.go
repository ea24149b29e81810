package streams

import (
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
	suspected bool // by the last inspection
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

// Acknowledged notes that the stream of a root has acknowledged a sequence.
func (r *Reconciler) Acknowledged(root visit.Root, sequence uint64) {
	s := r.streamFor(root)
	if s == nil {
		return
	}
	for {
		highest := s.acknowledged.Load()
		if sequence <= highest || s.acknowledged.CompareAndSwap(highest, sequence) {
			return
		}
	}
}

// compareLast compares the last sequence that an inspection found with what was
// acknowledged before the inspection. A stream that is behind is inspected once more
// before that is a loss; one that had to be created is lost at once.
func (r *Reconciler) compareLast(s *stream, acknowledged uint64, f finding) {
	if f.pending != nil {
		return
	}
	r.mu.Lock()
	behind := f.lastSequence < acknowledged
	confirmed := behind && (f.created || s.loss.suspected)
	s.loss.suspected = behind && !confirmed
	var err error
	if confirmed {
		err = lossOf(s.want.name, acknowledged, f)
		s.loss.last, s.loss.at = err, time.Now()
		s.acknowledged.Store(f.lastSequence)
	}
	r.mu.Unlock()
	if err == nil {
		return
	}
	r.metrics.losses.WithLabelValues(s.want.name).Inc()
	r.log.Error("NATS lost messages that it had acknowledged", "stream", s.want.name, "acknowledged", acknowledged, "last", f.lastSequence, "absent", f.created)
	if r.lost != nil {
		r.lost()
	}
}

func lossOf(stream string, acknowledged uint64, f finding) error {
	if f.created {
		return fmt.Errorf("stream %s was gone and was created anew: it had acknowledged messages up to sequence %d", stream, acknowledged)
	}
	return fmt.Errorf("stream %s lost messages: it had acknowledged them up to sequence %d, and ends at %d", stream, acknowledged, f.lastSequence)
}
