package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// diskShare is what part of the time that remains is kept for the disk; more
	// where it has been slow, up to slowDiskShare.
	diskShare, slowDiskShare = 4, 2
	// drainPatience is how long one message from the spool may take.
	drainPatience = 10 * time.Second
	// drainKeys messages of different orders are on their way at once, and
	// drainRound altogether are sent before the spool is told.
	drainKeys  = 32
	drainRound = 1024
	// maxRefusals is how often a stream may refuse a message for its own sake
	// before it is set aside.
	maxRefusals = 5
	// idlePoll is how often an empty spool is looked at without being told.
	idlePoll = 250 * time.Millisecond
	// longestDrainPause is between two tries while nothing can be stored.
	longestDrainPause = time.Second
	// postponement is how long an order is left alone whose message nobody
	// takes; each time twice as long, up to longestPostponement.
	postponement        = 5 * time.Second
	longestPostponement = time.Minute
	// resumeEvery is how many of them have their turn again at once: those of so
	// long.
	resumeEvery = 250 * time.Millisecond
)

// buffer stores messages in NATS or in the spool, and moves them from there.
//
// Within one relay, messages of one order reach the stream in the order in which
// their calls were answered. Across relays there is none: readers go by ce-time.
type buffer struct {
	b       *Broker
	spool   *spool.Spool
	log     *slog.Logger
	metrics *spoolMetrics
	health  *spoolHealth
	drains  map[visit.Root]*drain
	// silent is set while NATS is connected and acknowledges nothing: it hangs,
	// or the stream has no leader. Then the drain asks, and nobody else waits.
	silent atomic.Bool
}

func newBuffer(cfg Config, b *Broker) *buffer {
	f := &buffer{b: b, spool: cfg.Spool, log: cfg.Logger, drains: make(map[visit.Root]*drain)}
	f.health = newSpoolHealth(f, LargestMessage(cfg.BodyLimit))
	f.metrics = newSpoolMetrics(cfg, f.health)
	for _, root := range []visit.Root{visit.RootEvent, visit.RootDecision, visit.RootQuarantine} {
		f.drains[root] = newDrain(f, root)
	}
	return f
}

// run empties the spool until ctx ends.
func (f *buffer) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, d := range f.drains {
		all.Go(func() { d.run(ctx) })
	}
	all.Go(func() { f.health.probe(ctx) })
	f.followRoots(ctx, &all)
	all.Wait()
}

// followRoots empties the spool of roots that only another release knows, whenever
// a file is opened that holds such messages.
func (f *buffer) followRoots(ctx context.Context, all *sync.WaitGroup) {
	known := maps.Clone(f.drains)
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	for {
		for _, root := range f.spool.Roots() {
			if known[root] == nil {
				d := newDrain(f, root)
				known[root] = d
				all.Go(func() { d.run(ctx) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// store publishes a message, or spools it.
func (f *buffer) store(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	receipt, err := f.place(ctx, m)
	if errors.Is(err, errNotSpooled) {
		f.metrics.refused.Inc()
	}
	return receipt, err
}

// errNotSpooled is wrapped where the spool was the last resort.
var errNotSpooled = errors.New("the spool refused the message")

func (f *buffer) place(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	early, cancel := f.withMargin(ctx)
	defer cancel()
	// With all of the time: the one in front gives up early, and with it the
	// turn, and then there is a margin left.
	leave, err := f.b.lanes.enter(ctx, m)
	if err != nil {
		return visit.Receipt{}, err
	}
	defer leave()
	if _, known := f.drains[m.Root]; !known {
		return f.b.publish(ctx, m) // which says what is wrong
	}
	if err := f.b.allows(m); err != nil {
		return f.keep(ctx, m, err)
	}
	if f.quiet() || f.queues(early, m) {
		receipt, err := f.keep(ctx, m, nil)
		if err == nil || !f.mayOvertake(early, m) {
			return receipt, err
		}
		return f.insist(ctx, m, err)
	}
	receipt, err := f.b.publishUnless(early, m, f.hopeless)
	if err == nil {
		return receipt, nil
	}
	if errors.Is(err, visit.ErrTimeout) {
		f.noteSilence() // which an event that has little time does not live to see
	}
	receipt, err = f.keep(ctx, m, err)
	if err == nil {
		return receipt, nil
	}
	return f.insist(ctx, m, err)
}

// insist publishes a message that the spool did not take, until its time is up.
func (f *buffer) insist(ctx context.Context, m visit.Message, refusal error) (visit.Receipt, error) {
	receipt, err := f.b.publish(ctx, m)
	if err != nil {
		return visit.Receipt{}, errors.Join(err, refusal)
	}
	f.silent.Store(false)
	return receipt, nil
}

// hopeless reports, when a try to publish has failed, whether others would too:
// then the spool need not wait.
func (f *buffer) hopeless(failure error) bool {
	return errors.Is(failure, visit.ErrDisconnected) || f.noteSilence()
}

// noteSilence tells, when a try to publish has failed, whether NATS has stored
// nothing for a while, so that nobody else need try.
func (f *buffer) noteSilence() bool {
	if f.b.events.silence() < resendAfter {
		return false
	}
	f.silent.Store(true)
	return true
}

// quiet reports whether the drain is waiting for NATS to store something. Then
// nobody else needs to.
func (f *buffer) quiet() bool {
	if !f.silent.Load() {
		return false
	}
	n, _ := f.spool.Usage()
	return n > 0
}

// queues reports whether a message has to queue in the spool behind others of
// its order. While they leave, that is decided with some patience: what is
// nearly empty would otherwise never be.
func (f *buffer) queues(ctx context.Context, m visit.Message) bool {
	waiting := func() bool { return f.spool.Waiting(m.Root, m.OrderingKey) }
	if !waiting() {
		return false
	}
	if !f.b.events.stands() {
		return true
	}
	return !f.drains[m.Root].pace.hold(ctx, f.spool.Entries(m.Root), waiting)
}

// mayOvertake reports whether a message that the spool does not take may be
// published although others of its order waited there: when they have left, or
// when it is better stored out of order than lost. A visit's order is kept.
func (f *buffer) mayOvertake(ctx context.Context, m visit.Message) bool {
	if !f.b.events.stands() {
		return false
	}
	return !m.OfVisit() || f.drains[m.Root].pace.gone(ctx, func() bool { return f.spool.Waiting(m.Root, m.OrderingKey) })
}

// withMargin ends early enough to leave time for the disk: for the commit under
// way, for the message's own, and as much again.
func (f *buffer) withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	remaining := time.Until(deadline)
	margin := min(max(remaining/diskShare, 4*f.spool.Slowness()), remaining/slowDiskShare)
	return context.WithDeadline(ctx, deadline.Add(-margin))
}

// recordsShare is how full the spool may be for a record of a decision to go there.
const recordsShare = 0.25

// roomForRecords: a record must not take a visitor's place. One that its stream
// will not take before somebody does something would only wait there.
func (f *buffer) roomForRecords(cause error) bool {
	_, full := f.spool.Usage()
	return full < recordsShare && !errors.Is(cause, visit.ErrStreamFull) && !errors.Is(cause, visit.ErrDenied)
}

// keep spools a message that could not be published because of cause, if the
// integration's share has room for it.
func (f *buffer) keep(ctx context.Context, m visit.Message, cause error) (visit.Receipt, error) {
	if m.Root == visit.RootDecision && !f.roomForRecords(cause) {
		return visit.Receipt{}, errors.Join(cause, errNotSpooled)
	}
	if err := f.put(ctx, m); err != nil {
		return visit.Receipt{}, errors.Join(cause, fmt.Errorf("%w: %w", errNotSpooled, err))
	}
	return visit.Receipt{Spooled: true}, nil
}

func (f *buffer) put(ctx context.Context, m visit.Message) error {
	owner, wanted := spoolOwner{m.Root, integrationOf(m)}, int64(0)
	err := f.spool.PutIf(ctx, spool.Entry{Message: m, Order: m.OrderingKey}, func(r spool.Room) error {
		wanted = r.Size
		return f.b.sharers.allows(owner, r)
	})
	f.health.note(owner, wanted, err)
	if err != nil {
		return err
	}
	f.metrics.spooled.Inc()
	f.drains[m.Root].nudge()
	return nil
}
