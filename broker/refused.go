package broker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// Whether a stream stores is known from what was last published to it. How it is
// configured does not tell: one that is full is fit in every respect.

// refusal is that a stream did not store the last message.
type refusal struct {
	err  error
	size int64 // of the message
	// first is what the first look after that found.
	first *level
}

// published notes what became of a message: that its stream stored it, or why it
// did not.
func (k *keeper) published(m visit.Message, err error, stored bool) {
	s := k.streamFor(m.Root)
	switch {
	case s == nil, err == nil && !stored, stored && !s.troubled.Load():
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	before := s.refusal
	s.refusal = nil
	if !stored {
		s.refusal = &refusal{err: err, size: messageSize(m)}
		if before != nil {
			s.refusal.first = before.first
		} else {
			k.nudge() // for a first look
		}
	}
	k.changed(s)
}

// relieve forgets that a stream refused a message when a look shows that it would
// not again: nobody may publish for hours after it was emptied. The keeper's lock
// is held.
func (k *keeper) relieve(s *stream, found level) {
	if r := s.refusal; r != nil {
		if r.first == nil {
			r.first = &found
		}
		if r.over(found) {
			s.refusal = nil
		}
	}
	k.changed(s)
}

// over reports whether a look shows that what was refused would not be again. Where
// the stream's limits do not tell, because those of the account or of the server
// are used up, less must be in the stream than there was.
func (r *refusal) over(now level) bool {
	text := r.err.Error()
	switch {
	case errors.Is(r.err, visit.ErrDenied), errors.Is(r.err, errStoresNothing):
		return false // no look tells
	case !errors.Is(r.err, visit.ErrStreamFull):
		return true // there is a stream, with a leader
	case strings.Contains(text, "maximum bytes exceeded"):
		return now.limit == 0 || now.bytes+r.size <= now.limit
	case strings.Contains(text, "maximum messages exceeded"):
		return now.messageLimit == 0 || now.messages < now.messageLimit
	default:
		return now.bytes < r.first.bytes || now.messages < r.first.messages
	}
}

// changed brings the metrics up to date. The keeper's lock is held.
func (k *keeper) changed(s *stream) {
	s.troubled.Store(s.refusal != nil)
	full := s.refusal != nil && errors.Is(s.refusal.err, visit.ErrStreamFull)
	fit := s.verified && s.fault == nil && (s.refusal == nil || full)
	k.metrics.full.WithLabelValues(s.want.name).Set(oneIf(full))
	k.metrics.usable.WithLabelValues(s.want.name).Set(oneIf(fit))
}

// refused says that a stream did not store the last message, or is nil.
func (s *stream) refused() error {
	switch {
	case s.refusal == nil:
		return nil
	case errors.Is(s.refusal.err, visit.ErrStreamFull):
		why := strings.TrimPrefix(s.refusal.err.Error(), visit.ErrStreamFull.Error()+": ")
		return fmt.Errorf("stream %s is full: %s", s.want.name, why)
	default:
		return fmt.Errorf("stream %s did not store the last message: %w", s.want.name, s.refusal.err)
	}
}

func (k *keeper) streamFor(root visit.Root) *stream {
	for _, s := range k.streams {
		if s.want.root == root {
			return s
		}
	}
	return nil
}
