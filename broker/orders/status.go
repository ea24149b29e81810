package orders

import (
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Source is where the known orders come from.
type Source string

const (
	// SourceNone means that nothing is known.
	SourceNone Source = "none"
	// SourceKept is the state that an earlier process kept.
	SourceKept   Source = "kept"
	SourceBucket Source = "bucket"
)

// Status is where a watcher stands at one moment.
type Status struct {
	Source Source
	// AsOf is when the whole bucket was last read, or what was kept was
	// written.
	AsOf time.Time
	// Err is why the bucket is not read or followed, or nil.
	Err error
	// Lost are the lockdowns that the bucket no longer has although nobody
	// lifted them: it was deleted or purged. They stay in force until
	// [Book.Lift].
	Lost []visit.Order
	// Invalid has an error, which wraps [ErrInvalid], for each entry in the
	// bucket that cannot be read.
	Invalid []error
	// KeptErr is why the next start will not find this state, or nil.
	KeptErr error
}

// Status says where the watcher stands.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Status{
		Source: w.source, AsOf: w.asOf, Err: w.err,
		Lost: w.entries.lost(), Invalid: w.entries.invalid(), KeptErr: w.keptErr,
	}
}

// renew takes over what the whole bucket says.
func (w *Watcher) renew(read ledger) {
	now := time.Now()
	w.mu.Lock()
	w.source, w.asOf = SourceBucket, now
	w.mu.Unlock()
	w.take(w.entries.renewed(read, now))
}

// take makes entries the known ones.
func (w *Watcher) take(entries ledger) {
	w.mu.Lock()
	w.entries, w.orders = entries, entries.orders()
	w.mu.Unlock()
	w.herald.tell(entries, w.source, time.Now())
	select {
	case w.changed <- struct{}{}:
	default: // it will see this state too
	}
}

// report notes whether the bucket is followed, and logs when that changes.
func (w *Watcher) report(err error) {
	if err != nil {
		err = fmt.Errorf("bucket %s: %w", w.cfg.Bucket, err)
	}
	w.mu.Lock()
	was := w.err
	w.err = err
	w.mu.Unlock()
	switch {
	case err == nil && was != nil:
		w.log.Info("standing orders are followed", "bucket", w.cfg.Bucket)
	case err != nil && (was == nil || was.Error() != err.Error()):
		w.log.Warn("standing orders are not followed", "err", err)
	}
}
