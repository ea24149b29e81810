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
	// connected is closed once there is another connection, and so perhaps another
	// server.
	connected <-chan struct{}
	// interrupted is set when a look after that brought nothing: the stream had no
	// leader then, and where it has one now, it stores again.
	interrupted bool
}

// willNotLast is that a stream stores, or would, and what it stores will be gone. To
// whoever publishes it is a stream that is missing.
type willNotLast struct{ cause error }

func (w *willNotLast) Error() string { return "what is stored now would be lost: " + w.cause.Error() }

func (w *willNotLast) Unwrap() error { return visit.ErrStreamMissing }

// storeFault says why a message must not be stored in a stream now, or nil.
func (k *keeper) storeFault(stream string) error {
	if err := k.lasts(stream); err != nil {
		return &willNotLast{err}
	}
	return nil
}

func isWillNotLast(err error) bool {
	var lost *willNotLast
	return errors.As(err, &lost)
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
		s.refusal = k.newRefusal(err, messageSize(m))
		if before != nil {
			s.refusal.first = before.first
		} else {
			k.nudge() // for a first look
		}
	}
	k.changed(s)
}

func (k *keeper) newRefusal(err error, size int64) *refusal {
	return &refusal{err: err, size: size, connected: k.link.connected()}
}

// doubt takes what will not last for a refusal before anybody publishes. The keeper's
// lock is held.
func (k *keeper) doubt(s *stream) {
	if err := k.storeFault(s.want.name); err != nil && s.refusal == nil {
		s.refusal = k.newRefusal(err, 0)
	}
}

// relieve forgets that a stream refused a message when a look shows that it would
// not again: nobody may publish for hours after it was emptied. The keeper's lock
// is held.
func (k *keeper) relieve(s *stream, found level) {
	if r := s.refusal; r != nil {
		if r.first == nil {
			r.first = &found
		}
		if k.over(s, found) {
			s.refusal = nil
		}
	}
	k.changed(s)
}

// over reports whether a look shows that what was refused would not be again. Where
// the stream's limits do not tell, because those of the account or of the server
// are used up, less must be in the stream than there was.
func (k *keeper) over(s *stream, now level) bool {
	r := s.refusal
	text := r.err.Error()
	switch {
	case isWillNotLast(r.err):
		return k.storeFault(s.want.name) == nil
	case errors.Is(r.err, visit.ErrTimeout):
		return r.answers(now)
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

// answers reports whether a stream that acknowledged nothing can be expected to. That
// there is one, with a leader, does not tell: after a write that failed, a server
// answers every question about a stream and stores nothing.
func (r *refusal) answers(now level) bool {
	select {
	case <-r.connected:
		return true
	default:
		return r.interrupted || now.lastSequence > r.first.lastSequence
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
	case isWillNotLast(s.refusal.err):
		return s.refusal.err // the same for all streams
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
