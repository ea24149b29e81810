package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
	// apiTimeout bounds one request to JetStream's API.
	apiTimeout = 5 * time.Second
)

// keeper creates the streams that are absent and watches over those that are
// there.
type keeper struct {
	link    *link
	log     *slog.Logger
	metrics *metrics
	streams []*stream
	askAll  string // the filter for all questions
	largest int64
	wanted  chan struct{}

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
}

func newKeeper(cfg Config, l *link, m *metrics) *keeper {
	k := &keeper{
		link: l, log: cfg.Logger, metrics: m,
		askAll: cfg.Subjects.All(visit.RootAsk), largest: cfg.largestMessage(),
		wanted: make(chan struct{}, 1), told: make(map[string]bool),
	}
	for _, want := range blueprints(cfg) {
		k.streams = append(k.streams, &stream{want: want, pending: errors.New("not looked at yet")})
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
		if s.fault != nil || s.pending != nil {
			return recheckInterval
		}
	}
	if k.general != nil {
		return recheckInterval
	}
	return checkInterval
}

// check looks at everything once. What was found before stands while NATS is
// away.
func (k *keeper) check(ctx context.Context) {
	if !k.link.nc.IsConnected() {
		return
	}
	overlap := k.overlap(ctx)
	if overlap == nil {
		overlap = k.payloadFault()
	}
	k.mu.Lock()
	k.general = overlap
	k.mu.Unlock()
	if overlap != nil {
		k.tell(overlap)
	}
	for _, s := range k.streams {
		k.conclude(s, k.look(ctx, s.want))
	}
}

// payloadFault compares NATS' limit with our largest message.
func (k *keeper) payloadFault() error {
	limit := k.link.nc.MaxPayload()
	if limit == 0 || limit >= k.largest {
		return nil
	}
	return fmt.Errorf("NATS takes messages of %d bytes, the largest of the relay is %d: raise max_payload of the NATS server or lower the relay's body limit", limit, k.largest)
}

// conclude takes over what was found about a stream.
func (k *keeper) conclude(s *stream, f finding) {
	k.mu.Lock()
	fresh := !s.verified && f.fit()
	s.verified = s.verified || f.fit()
	s.pending = f.pending
	if f.pending == nil {
		s.fault, s.drift = f.fault, f.drift
	}
	k.mu.Unlock()
	if f.pending != nil {
		return
	}
	k.metrics.setStream(s.want.name, f)
	if f.fault != nil {
		k.tell(f.fault)
	}
	for _, line := range f.drift.lines(s.want.name) {
		k.tell(errors.New(line))
	}
	if fresh {
		k.log.Info("stream verified", "stream", s.want.name)
	}
}

// tell warns of each thing once.
func (k *keeper) tell(what error) {
	k.mu.Lock()
	again := k.told[what.Error()]
	k.told[what.Error()] = true
	k.mu.Unlock()
	if !again {
		k.log.Warn("streams", "found", what.Error())
	}
}
