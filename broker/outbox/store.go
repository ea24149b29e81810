package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// diskShare is what part of the time that remains is kept for the disk; more
	// where it has been slow, up to slowDiskShare.
	diskShare, slowDiskShare = 4, 2
	// recordsShare is how full the spool may be for a record of a decision to go there.
	recordsShare = 0.25
)

// Store stores a message in the stream of its root, or in the spool. An error means
// that neither took it until ctx ended; see broker.Publish.
func (o *Outbox) Store(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	if o.spooler == nil {
		return o.storeInStream(ctx, m)
	}
	receipt, err := o.storeOrSpool(ctx, m)
	if errors.Is(err, errNotSpooled) {
		o.spooler.metrics.refused.Inc()
	}
	return receipt, err
}

func (o *Outbox) storeInStream(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	if err := o.shares.allowsQuarantine(m); err != nil {
		return visit.Receipt{}, err
	}
	unlock, err := o.keys.lock(ctx, m)
	if err != nil {
		return visit.Receipt{}, err
	}
	defer unlock()
	return o.publisher.Publish(ctx, m, time.Time{}, nil)
}

// errNotSpooled is wrapped where the spool was the last resort.
var errNotSpooled = errors.New("the spool refused the message")

func (o *Outbox) storeOrSpool(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	early := o.publishDeadline(ctx)
	// With all of the time: the one in front gives up early, and with it the
	// lock, and then there is a margin left.
	unlock, err := o.keys.lock(ctx, m)
	if err != nil {
		return visit.Receipt{}, err
	}
	defer unlock()
	if _, known := o.forwarders[m.Root]; !known {
		return o.publisher.Publish(ctx, m, time.Time{}, nil) // which says what is wrong
	}
	if err := o.shares.allowsQuarantine(m); err != nil {
		return o.spoolMessage(ctx, m, err)
	}
	if o.resendsFirst(m.Root) {
		// Not until the time is up: a disk that hangs must not keep the message from NATS.
		inTime, cancel := until(ctx, early)
		receipt, err := o.spoolMessage(inTime, m, nil)
		cancel()
		if err == nil {
			return receipt, nil
		}
		if o.spooler.spool.Waiting(m.Root, m.OrderingKey) && !o.mayReorder(ctx, early, m) {
			return receipt, err
		}
		return o.publishAnyway(ctx, m, err) // before what is sent again: better so than lost
	}
	if o.isUnresponsive() || o.mustQueue(ctx, early, m) {
		receipt, err := o.spoolMessage(ctx, m, nil)
		if err == nil || !o.mayReorder(ctx, early, m) {
			return receipt, err
		}
		return o.publishAnyway(ctx, m, err)
	}
	receipt, err := o.publisher.Publish(ctx, m, early, o.giveUp)
	if err == nil {
		return receipt, nil
	}
	if errors.Is(err, visit.ErrTimeout) {
		o.noteUnresponsive() // which an event that has little time does not live to see
	}
	receipt, err = o.spoolMessage(ctx, m, err)
	if err == nil {
		return receipt, nil
	}
	return o.publishAnyway(ctx, m, err)
}

// publishAnyway publishes a message that the spool did not take, until its time is up.
func (o *Outbox) publishAnyway(ctx context.Context, m visit.Message, refusal error) (visit.Receipt, error) {
	receipt, err := o.publisher.Publish(ctx, m, time.Time{}, nil)
	if err != nil {
		return visit.Receipt{}, errors.Join(err, refusal)
	}
	o.spooler.unresponsive.Store(false)
	return receipt, nil
}

// giveUp reports, when an attempt to publish has failed, whether others would, too:
// then the spool need not wait. What NATS lost meanwhile comes first.
func (o *Outbox) giveUp(root visit.Root, failure error) bool {
	return isDisconnected(failure) || o.resendsFirst(root) || o.noteUnresponsive()
}

// noteUnresponsive says, when an attempt to publish has failed, whether NATS has stored
// nothing for a while, so that no other caller need try.
func (o *Outbox) noteUnresponsive() bool {
	if !o.publisher.Silent() {
		return false
	}
	o.spooler.unresponsive.Store(true)
	return true
}

// isUnresponsive reports whether a forwarder is waiting for NATS to store something.
// Then no caller needs to.
func (o *Outbox) isUnresponsive() bool {
	if !o.spooler.unresponsive.Load() {
		return false
	}
	n, _ := o.spooler.spool.Usage()
	return n > 0
}

// mustQueue reports whether a message has to queue in the spool behind others with its
// ordering key. While they leave, that is decided with some patience: what is nearly
// empty would otherwise never be.
func (o *Outbox) mustQueue(ctx context.Context, deadline time.Time, m visit.Message) bool {
	waiting := func() bool { return o.spooler.spool.Waiting(m.Root, m.OrderingKey) }
	if !waiting() {
		return false
	}
	if !o.conn.Connected() {
		return true
	}
	ctx, cancel := until(ctx, deadline)
	defer cancel()
	return !o.forwarders[m.Root].ramp.hold(ctx, o.spooler.spool.Entries(m.Root), waiting)
}

// mayReorder reports whether a message that the spool does not take may be published
// although others with its ordering key waited there: when they have left, or when it
// is better stored out of order than lost. A visit's order is kept.
func (o *Outbox) mayReorder(ctx context.Context, deadline time.Time, m visit.Message) bool {
	if !o.conn.Connected() {
		return false
	}
	ctx, cancel := until(ctx, deadline)
	defer cancel()
	return !m.OfVisit() || o.forwarders[m.Root].ramp.gone(ctx, func() bool { return o.spooler.spool.Waiting(m.Root, m.OrderingKey) })
}

// publishDeadline ends early enough to leave time for the disk: for the commit under
// way, for the message's own, and as much again. It is zero without a deadline of ctx.
func (o *Outbox) publishDeadline(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Time{}
	}
	remaining := time.Until(deadline)
	margin := min(max(remaining/diskShare, 4*o.spooler.spool.Slowness()), remaining/slowDiskShare)
	return deadline.Add(-margin)
}

// until is ctx with a deadline, unless that is zero.
func until(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline)
}

// roomForRecords: a record must not take a visitor's place. One that its stream
// will not take before a person does something would only wait there.
func (o *Outbox) roomForRecords(cause error) bool {
	_, full := o.spooler.spool.Usage()
	return full < recordsShare && !errors.Is(cause, visit.ErrStreamFull) && !errors.Is(cause, visit.ErrDenied)
}

// spoolMessage spools a message that could not be published because of cause, if the
// integration's share has room for it.
func (o *Outbox) spoolMessage(ctx context.Context, m visit.Message, cause error) (visit.Receipt, error) {
	if m.Root == visit.RootDecision && !o.roomForRecords(cause) {
		return visit.Receipt{}, errors.Join(cause, errNotSpooled)
	}
	if err := o.spooler.put(ctx, m); err != nil {
		return visit.Receipt{}, errors.Join(cause, fmt.Errorf("%w: %w", errNotSpooled, err))
	}
	return visit.Receipt{Spooled: true}, nil
}

// keyedMutex lets messages of one visit pass one at a time, in the order in which
// they came: while the first is being stored, or finds its way into the spool,
// the second must not overtake it. Other messages pass at once: those of an
// integration are many at a time. The zero value is ready.
type keyedMutex struct {
	mu   sync.Mutex
	busy map[string]*keyLock
}

type keyLock struct {
	held  chan struct{} // holds a token while it is locked
	users int
}

// lock waits for the message's turn, or until ctx ends. The one that has the lock calls
// unlock.
func (k *keyedMutex) lock(ctx context.Context, m visit.Message) (unlock func(), err error) {
	if !m.OfVisit() {
		return func() {}, nil
	}
	one := k.join(m.OrderingKey)
	select {
	case one.held <- struct{}{}:
		return func() { <-one.held; k.quit(m.OrderingKey, one) }, nil
	case <-ctx.Done():
		k.quit(m.OrderingKey, one)
		return nil, conn.ContextError(ctx)
	}
}

func (k *keyedMutex) join(key string) *keyLock {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy == nil {
		k.busy = make(map[string]*keyLock)
	}
	one := k.busy[key]
	if one == nil {
		one = &keyLock{held: make(chan struct{}, 1)}
		k.busy[key] = one
	}
	one.users++
	return one
}

func (k *keyedMutex) quit(key string, one *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(k.busy, key)
	}
}
