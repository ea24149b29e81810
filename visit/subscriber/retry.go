package subscriber

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// spacing keeps retries from taking all the time. NATS delivers what comes again
// before what is new: a hundred events that each take six seconds to fail would,
// with a backoff of ten minutes, fill those, and nothing else would ever come.
type spacing struct {
	mu sync.Mutex
	// until is when the retries that were promised so far have had their time.
	until time.Time
}

// later is the backoff, or more, so that retries leave a quarter of the workers'
// time to events that wait.
func (r *receiver) later(m jetstream.Msg, backoff, took time.Duration) time.Duration {
	if meta, err := m.Metadata(); err == nil && meta.NumPending == 0 {
		return backoff
	}
	return max(backoff, r.retries.add(time.Now(), took*4/3/time.Duration(r.cfg.Concurrency)))
}

// add makes room for one more retry, and returns how far away it is.
func (s *spacing) add(now time.Time, room time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.Before(now) {
		s.until = now
	}
	s.until = s.until.Add(room)
	return s.until.Sub(now)
}
