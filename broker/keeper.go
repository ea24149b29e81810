package broker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// checkInterval is between two looks at streams that were fit, and
	// recheckInterval at others.
	checkInterval   = 30 * time.Second
	recheckInterval = 2 * time.Second
	// checkRest keeps those who miss a stream from asking for it all the time.
	checkRest = 250 * time.Millisecond
	// afterDeletion is how long a stream that was there is left alone. NATS
	// forgets a deleted stream and then takes its files away, with those of a
	// new one that stands in their place by then: it would store nothing
	// until the server is restarted (2.15, filestore.go, Delete).
	afterDeletion = 500 * time.Millisecond
	// apiTimeout bounds one request to JetStream's API.
	apiTimeout = 5 * time.Second
)

// keeper creates the streams that are absent and watches over those that are
// there.
type keeper struct {
	link     *link
	log      *slog.Logger
	metrics  *metrics
	streams  []*stream
	subjects visit.Subjects
	askAll   string // the filter for all questions
	largest  int64
	// lasts says why what a stream stores now will not last, or nil.
	lasts  func(stream string) error
	wanted chan struct{}
	// looked is told, by root, how many bytes a look found, and of how many.
	looked map[visit.Root]func(bytes, limit int64)

	mu      sync.Mutex
	general error           // a fault that is no single stream's
	told    map[string]bool // warnings that were logged
}

// stream is one stream and what was last found about it.
type stream struct {
	want blueprint

	// Guarded by the keeper's mutex.
	verified bool   // found fit at least once
	fault    error  // unusable, and a person must help
	pending  error  // could not be looked at
	drift    drifts // differs from what is wanted, but works
	refusal  *refusal
	// troubled is set while refusal is.
	troubled atomic.Bool
}

func newKeeper(cfg Config, l *link, m *metrics) *keeper {
	k := &keeper{
		link: l, log: cfg.Logger, metrics: m,
		subjects: cfg.Subjects, askAll: cfg.Subjects.All(visit.RootAsk), largest: LargestMessage(cfg.BodyLimit),
		lasts:  cfg.StoreFault,
		wanted: make(chan struct{}, 1), told: make(map[string]bool),
		looked: make(map[visit.Root]func(bytes, limit int64)),
	}
	for _, want := range blueprints(cfg) {
		k.streams = append(k.streams, &stream{want: want, pending: errors.New("not checked yet")})
	}
	return k
}

func (k *keeper) streamOf(root visit.Root) (string, bool) {
	for _, s := range k.streams {
		if s.want.root == root {
			return s.want.name, true
		}
	}
	return "", false
}

// nudge asks for a look at the streams soon.
func (k *keeper) nudge() {
	select {
	case k.wanted <- struct{}{}:
	default:
	}
}

// run looks at the streams until ctx ends: at each connect, when somebody
// misses one, and from time to time.
func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		up := k.link.connected()
		k.check(ctx)
		rest(ctx, checkRest, up)
		timer := time.NewTimer(k.interval())
		select {
		case <-timer.C:
		case <-k.wanted:
		case <-up:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (k *keeper) interval() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.streams {
		if s.fault != nil || s.pending != nil || s.refusal != nil {
			return recheckInterval
		}
	}
	if k.general != nil {
		return recheckInterval
	}
	return checkInterval
}
