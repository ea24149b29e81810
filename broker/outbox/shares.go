package outbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/share"
	"github.com/sine-relay/sine-relay/visit"
)

// An integration has its share of what is bounded: of the spool, and of the
// stream of what could not be understood, which every owner of its key can fill.

// partOfSpool is how much of the spool messages of a root may fill together, one
// in so many. Events may fill it all: what could not be understood, and records,
// must not take their place.
var partOfSpool = map[visit.Root]int64{visit.RootQuarantine: 4, visit.RootDecision: 4}

// Shares keeps an integration from filling the spool, or the quarantine's stream. Of
// the stream it counts what this relay has put there since its start, and learns from
// inspections what there is altogether: no message has to be read again to know whose it is.
type Shares struct {
	integrations atomic.Int64
	exhausted    prometheus.Gauge

	mu           sync.Mutex
	limit, bytes int64            // of the stream at the last inspection
	since        int64            // bytes that were put since
	put          map[string]int64 // by integration
	refused      map[string]int64 // the size of what was last refused, likewise
}

// NewShares returns the shares of one integration.
func NewShares(reg prometheus.Registerer) *Shares {
	return &Shares{
		exhausted: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
			Name: "sine_relay_quarantine_shares_exhausted",
			Help: "Integrations whose unreadable bodies are refused because their share of the quarantine is exhausted.",
		}),
		put: make(map[string]int64), refused: make(map[string]int64),
	}
}

// Among says how many integrations share what is bounded.
func (s *Shares) Among(integrations int) { s.integrations.Store(int64(integrations)) }

func (s *Shares) pool(capacity, taken int64) share.Pool {
	return share.Pool{Capacity: capacity, Taken: taken, Users: max(1, int(s.integrations.Load()))}
}

// allowsSpool says why the spool has no room for a message, or nil.
func (s *Shares) allowsSpool(owner spoolOwner, r spool.Room) error {
	part := partOfSpool[owner.root]
	pool := s.pool(r.MaxBytes, r.Bytes)
	if part > 0 {
		pool = s.pool(r.MaxBytes/part, r.OfRoot)
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

func integrationOf(m visit.Message) string {
	return strings.Join(m.Header[visit.HeaderIntegration], "")
}

// Inspected takes over what an inspection found in the stream of a root. What has left
// the stream of the quarantine meanwhile was everybody's alike.
func (s *Shares) Inspected(root visit.Root, bytes, limit int64) {
	if root != visit.RootQuarantine {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.bytes, s.since = limit, bytes, 0
	all := int64(0)
	for _, put := range s.put {
		all += put
	}
	if all <= bytes {
		return
	}
	for integration, put := range s.put {
		s.put[integration] = int64(float64(put) * float64(bytes) / float64(all))
	}
}

// allowsQuarantine says why an integration may put no more into the quarantine, or nil.
// An event that its stream refused is always allowed there.
func (s *Shares) allowsQuarantine(m visit.Message) error {
	if m.Root != visit.RootQuarantine || strings.Join(m.Header[visit.HeaderReason], "") == string(visit.ReasonRefused) {
		return nil
	}
	integration, size := integrationOf(m), streams.MessageSize(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.fault(integration, size)
	if err != nil {
		s.refused[integration] = size
		s.exhausted.Set(float64(len(s.refused)))
	}
	return err
}

func (s *Shares) fault(integration string, size int64) error {
	if s.limit == 0 {
		return nil
	}
	// A stream that is full says so itself.
	pool := s.pool(s.limit, min(s.bytes+s.since, s.limit-size))
	if s.put[integration] == 0 || pool.Allows(s.put[integration], size) {
		return nil
	}
	return fmt.Errorf("%w for the integration %s: its share of the quarantine is exhausted, %d of %d bytes", visit.ErrStreamFull, integration, s.put[integration], s.limit)
}

// stored notes a message that went into the quarantine.
func (s *Shares) stored(m visit.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := streams.MessageSize(m)
	s.since += size
	s.put[integrationOf(m)] += size
}

// Exhausted says for which integrations something was refused that would be refused
// again.
func (s *Shares) Exhausted() (faults []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, integration := range slices.Sorted(maps.Keys(s.refused)) {
		if err := s.fault(integration, s.refused[integration]); err != nil {
			faults = append(faults, err)
		} else {
			delete(s.refused, integration)
		}
	}
	s.exhausted.Set(float64(len(s.refused)))
	return faults
}
