package broker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/internal/share"
	"github.com/sine-relay/sine-relay/visit"
)

// An integration has its share of what is bounded: of the spool, and of the
// stream of what could not be understood, which whoever has its key can fill.

// partOfSpool is how much of the spool messages of a root may fill together, one
// in so many. Events may fill it all: what could not be understood, and records,
// must not take their place.
var partOfSpool = map[visit.Root]int64{visit.RootQuarantine: 4, visit.RootDecision: 4}

// sharers is how many integrations there are.
type sharers struct{ n atomic.Int64 }

// Share says how many integrations share what is bounded. Until then there is
// one.
func (b *Broker) Share(integrations int) { b.sharers.n.Store(int64(integrations)) }

func (s *sharers) among(capacity, taken int64) share.Pool {
	return share.Pool{Capacity: capacity, Taken: taken, Users: max(1, int(s.n.Load()))}
}

// allows says why the spool has no room for a message, or nil.
func (s *sharers) allows(owner spoolOwner, r spool.Room) error {
	part := partOfSpool[owner.root]
	pool := s.among(r.MaxBytes, r.Bytes)
	if part > 0 {
		pool = s.among(r.MaxBytes/part, r.OfRoot)
	}
	switch {
	case r.Size > r.MaxBytes-r.Bytes:
		return spool.ErrFull
	case !pool.Fits(r.Size):
		return fmt.Errorf("%w for the %s: %d of the %d bytes for its stream are used", spool.ErrFull, owner.root, r.OfRoot, pool.Capacity)
	case !pool.Allows(r.OfIntegration, r.Size):
		return fmt.Errorf("%w for the integration %s: its share is exhausted, %d of %d bytes", spool.ErrFull, owner.integration, r.OfIntegration, r.MaxBytes)
	default:
		return nil
	}
}

// allows says why an integration may put no more where a message belongs, or nil.
// An event that its stream refused is always allowed into the quarantine.
func (b *Broker) allows(m visit.Message) error {
	if m.Root != visit.RootQuarantine || strings.Join(m.Header[visit.HeaderReason], "") == string(visit.ReasonRefused) {
		return nil
	}
	return b.quarantined.allows(m)
}

func integrationOf(m visit.Message) string {
	return strings.Join(m.Header[visit.HeaderIntegration], "")
}

// quarantineShares keeps an integration from filling the quarantine's stream. It
// counts what this relay has put there since its start, and learns from the looks
// at the stream what there is altogether: nobody has to be asked what of it is
// whose.
type quarantineShares struct {
	sharers *sharers
	usedUp  prometheus.Gauge

	mu           sync.Mutex
	limit, bytes int64            // of the stream at the last look
	since        int64            // bytes that were put since
	put          map[string]int64 // by integration
	refused      map[string]int64 // the size of what was last refused, likewise
}

func newQuarantineShares(s *sharers, usedUp prometheus.Gauge) *quarantineShares {
	return &quarantineShares{sharers: s, usedUp: usedUp, put: make(map[string]int64), refused: make(map[string]int64)}
}

// looked takes over what a look at the stream found. What has left the stream
// meanwhile was everybody's alike.
func (q *quarantineShares) looked(bytes, limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit, q.bytes, q.since = limit, bytes, 0
	all := int64(0)
	for _, put := range q.put {
		all += put
	}
	if all <= bytes {
		return
	}
	for integration, put := range q.put {
		q.put[integration] = int64(float64(put) * float64(bytes) / float64(all))
	}
}

// allows says why a message must not go into the stream, or nil.
func (q *quarantineShares) allows(m visit.Message) error {
	integration, size := integrationOf(m), messageSize(m)
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.fault(integration, size)
	if err != nil {
		q.refused[integration] = size
		q.usedUp.Set(float64(len(q.refused)))
	}
	return err
}

func (q *quarantineShares) fault(integration string, size int64) error {
	if q.limit == 0 {
		return nil
	}
	// A stream that is full says so itself.
	pool := q.sharers.among(q.limit, min(q.bytes+q.since, q.limit-size))
	if q.put[integration] == 0 || pool.Allows(q.put[integration], size) {
		return nil
	}
	return fmt.Errorf("%w for the integration %s: its share of the quarantine is exhausted, %d of %d bytes", visit.ErrStreamFull, integration, q.put[integration], q.limit)
}

// stored notes a message that went into the stream.
func (q *quarantineShares) stored(m visit.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := messageSize(m)
	q.since += size
	q.put[integrationOf(m)] += size
}

// exhausted says for which integrations something was refused that would be
// refused again.
func (q *quarantineShares) exhausted() (faults []error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, integration := range slices.Sorted(maps.Keys(q.refused)) {
		if err := q.fault(integration, q.refused[integration]); err != nil {
			faults = append(faults, err)
		} else {
			delete(q.refused, integration)
		}
	}
	q.usedUp.Set(float64(len(q.refused)))
	return faults
}

// messageSize is about what a message takes up in a stream.
func messageSize(m visit.Message) int64 {
	size := len(m.Data) + len(m.Subject) + 32
	for name, values := range m.Header {
		for _, value := range values {
			size += len(name) + len(value) + 4
		}
	}
	return int64(size)
}
