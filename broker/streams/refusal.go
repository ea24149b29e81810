package streams

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// Whether a stream stores is known from what was last published to it. How it is
// configured does not tell: one that is full is fit in every respect.

// refusal is that a stream did not store the last message.
type refusal struct {
	err  error
	size int64 // of the message
	// first is what the first inspection after that found.
	first *level
	// connected is closed once there is another connection, and so perhaps another
	// server.
	connected <-chan struct{}
	// interrupted is set when an inspection after that found nothing: the stream had no
	// leader then, and where it has one now, it stores again.
	interrupted bool
}

// willNotLast is that a stream stores, or would, and what it stores will be gone. To
// a publisher it is a stream that is missing.
type willNotLast struct{ cause error }

func (w *willNotLast) Error() string { return "what is stored now would be lost: " + w.cause.Error() }

func (w *willNotLast) Unwrap() error { return visit.ErrStreamMissing }

// StoreFault says why a message must not be stored in a stream now, or nil. It wraps
// visit.ErrStreamMissing.
func (r *Reconciler) StoreFault(stream string) error {
	if err := r.cfg.StoreFault(stream); err != nil {
		return &willNotLast{err}
	}
	return nil
}

func isWillNotLast(err error) bool {
	var lost *willNotLast
	return errors.As(err, &lost)
}

// Published notes what became of a message: that its stream stored it, or why it
// did not.
func (r *Reconciler) Published(m visit.Message, err error, stored bool) {
	s := r.streamFor(m.Root)
	switch {
	case s == nil, err == nil && !stored, stored && !s.troubled.Load():
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := s.refusal
	s.refusal = nil
	if !stored {
		s.refusal = r.newRefusal(err, MessageSize(m))
		if before != nil {
			s.refusal.first = before.first
		} else {
			r.Trigger() // for a first inspection
		}
	}
	r.changed(s)
}

func (r *Reconciler) newRefusal(err error, size int64) *refusal {
	return &refusal{err: err, size: size, connected: r.conn.NextConnect()}
}

// doubt takes what will not last for a refusal before anything is published. The reconciler's
// lock is held.
func (r *Reconciler) doubt(s *stream) {
	if err := r.StoreFault(s.want.name); err != nil && s.refusal == nil {
		s.refusal = r.newRefusal(err, 0)
	}
}

// relieve forgets that a stream refused a message when an inspection shows that it would
// not again: it may be hours until something is published after it was emptied. The reconciler's lock
// is held.
func (r *Reconciler) relieve(s *stream, found level) {
	if before := s.refusal; before != nil {
		if before.first == nil {
			before.first = &found
		}
		if r.passed(s, found) {
			s.refusal = nil
		}
	}
	r.changed(s)
}

// passed reports whether an inspection shows that what was refused would not be again. Where
// the stream's limits do not tell, because those of the account or of the server
// are used up, less must be in the stream than there was.
func (r *Reconciler) passed(s *stream, now level) bool {
	before := s.refusal
	text := before.err.Error()
	switch {
	case isWillNotLast(before.err):
		return r.StoreFault(s.want.name) == nil
	case errors.Is(before.err, visit.ErrTimeout):
		return before.replies(now)
	case errors.Is(before.err, visit.ErrDenied), errors.Is(before.err, errStoresNothing):
		return false // no inspection tells
	case !errors.Is(before.err, visit.ErrStreamFull):
		return true // there is a stream, with a leader
	case strings.Contains(text, "maximum bytes exceeded"):
		return now.limit == 0 || now.bytes+before.size <= now.limit
	case strings.Contains(text, "maximum messages exceeded"):
		return now.messageLimit == 0 || now.messages < now.messageLimit
	default:
		return now.bytes < before.first.bytes || now.messages < before.first.messages
	}
}

// replies reports whether a stream that acknowledged nothing can be expected to. That
// there is one, with a leader, does not tell: after a write that failed, a server
// replies to every request about a stream and stores nothing.
func (r *refusal) replies(now level) bool {
	select {
	case <-r.connected:
		return true
	default:
		return r.interrupted || now.lastSequence > r.first.lastSequence
	}
}

// changed brings the metrics up to date. The reconciler's lock is held.
func (r *Reconciler) changed(s *stream) {
	s.troubled.Store(s.refusal != nil)
	full := s.refusal != nil && errors.Is(s.refusal.err, visit.ErrStreamFull)
	fit := s.verified && s.fault == nil && (s.refusal == nil || full)
	r.metrics.full.WithLabelValues(s.want.name).Set(boolValue(full))
	r.metrics.usable.WithLabelValues(s.want.name).Set(boolValue(fit))
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

// refusalOfStream turns JetStream's error into visit's. It is [*Retryable] when it
// may pass.
func refusalOfStream(e *jetstream.APIError, found, expected string) error {
	switch e.ErrorCode {
	case codeAccountResourcesExceeded, codeInsufficientResources, codeMemoryResourcesExceeded, codeStorageResourcesExceeded:
		return fmt.Errorf("%w: %s", visit.ErrStreamFull, e.Description)
	case codeMessageExceedsMaximum, codeHeaderExceedsMaximum:
		return fmt.Errorf("%w: %s", visit.ErrTooLarge, e.Description)
	case codeStreamNotMatch:
		return fmt.Errorf("%w: expected %s, but it is stored by %s", visit.ErrStreamMissing, expected, found)
	case codeStreamSealed:
		return fmt.Errorf("%w: %w: %s is sealed", visit.ErrStreamMissing, errStoresNothing, expected)
	case codeStoreFailed:
		return storeFailure(e)
	case codeDuplicateInProcess:
		return &Retryable{Cause: fmt.Errorf("%w: %s", visit.ErrTimeout, e.Description)}
	}
	switch e.ErrorCode {
	case codeAtomicPublishDisabled:
		return ErrNoBatches
	case codeAtomicPublishTooLarge:
		return ErrBatchTooLarge
	}
	if e.Code >= 500 {
		return &Retryable{Cause: fmt.Errorf("%w: %s: %s", visit.ErrStreamMissing, expected, e.Description)}
	}
	return fmt.Errorf("stream %s refuses: %s (%d)", expected, e.Description, e.ErrorCode)
}

// storeFailure reads the description: one code stands for a stream that is full
// and for a store that fails.
func storeFailure(e *jetstream.APIError) error {
	switch {
	case strings.Contains(e.Description, "exceeded"), strings.Contains(e.Description, "no space left"):
		return fmt.Errorf("%w: %s", visit.ErrStreamFull, e.Description)
	case strings.Contains(e.Description, "too large"), strings.Contains(e.Description, "to large"):
		return fmt.Errorf("%w: %s", visit.ErrTooLarge, e.Description)
	default:
		return &Retryable{Cause: fmt.Errorf("%w: %w: %s", visit.ErrStreamMissing, errStoresNothing, e.Description)}
	}
}
