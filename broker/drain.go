package broker

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// drain empties the spool of the messages of one root. Each root has a stream of
// its own and a drain of its own: a stream that is full, or has no leader, holds
// up no other.
type drain struct {
	*buffer
	root visit.Root
	pace *pace
	wake chan struct{}

	mu    sync.Mutex
	later map[string]postponed // orders that are left alone, or were
	next  time.Time            // when one of them has its turn again; zero for never
}

// postponed is how long and until when an order is left alone.
type postponed struct {
	pause  time.Duration
	until  time.Time
	parked bool
}

func newDrain(f *buffer, root visit.Root) *drain {
	return &drain{buffer: f, root: root, pace: newPace(), wake: make(chan struct{}, 1), later: make(map[string]postponed)}
}

// nudge tells that there is something to send.
func (d *drain) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run sends what waits whenever there is a connection, until ctx ends. A stop at
// any instant only means that a message is sent again, with the same id.
func (d *drain) run(ctx context.Context) {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		up := d.b.events.connected()
		r, began := result{}, time.Now()
		if d.b.events.stands() {
			r = d.round(ctx)
		}
		moved := len(r.drained) + len(r.setAside)
		switch {
		case r.stuck:
			d.pace.setback()
			pause = min(max(2*pause, firstPause), longestDrainPause)
			rest(ctx, pause, up)
		case moved > 0:
			pause = 0
			d.pace.well(moved, time.Since(began))
		case r.postponed > 0: // and so the next ones have their turn
		default:
			pause = 0
			d.idle(ctx, up)
		}
	}
}

// idle waits until there may be something to do.
func (d *drain) idle(ctx context.Context, up <-chan struct{}) {
	timer := time.NewTimer(idlePoll/2 + rand.N(idlePoll))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-d.wake:
	case <-up:
		d.retryAll() // perhaps with other rights
	case <-timer.C:
	}
}

// round sends what may be sent now, and tells what left the spool.
func (d *drain) round(ctx context.Context) (all result) {
	d.resume(time.Now())
	runs, err := d.spool.Runs(d.root, drainKeys, drainRound)
	if err != nil {
		d.log.Error("the spool cannot be read", "err", err.Error())
		return result{stuck: true}
	}
	results := make([]result, len(runs))
	var sending sync.WaitGroup
	for i, run := range runs {
		sending.Go(func() { results[i] = d.send(ctx, run) })
	}
	sending.Wait()
	for _, r := range results {
		all.drained = append(all.drained, r.drained...)
		all.setAside = append(all.setAside, r.setAside...)
		all.stuck = all.stuck || r.stuck
		all.postponed += r.postponed
	}
	gone := slices.Concat(all.drained, all.setAside)
	if len(gone) == 0 {
		return all
	}
	// Not given up with ctx: what is not forgotten here is sent again.
	if err := d.spool.Remove(context.WithoutCancel(ctx), gone...); err != nil {
		d.health.notRemoved(err)
		d.log.Error("cannot remove forwarded messages from the spool", "err", err.Error())
		if errors.Is(err, spool.ErrClosed) {
			return result{stuck: true}
		}
	}
	// The ledger counts what the spool offers no more, and so not before.
	d.metrics.drained.Add(float64(len(all.drained)))
	d.metrics.setAside.Add(float64(len(all.setAside)))
	return all
}

// result is what became of messages: their sequences, how many orders are left
// alone for a while, and whether nothing more can be stored at the moment.
type result struct {
	drained, setAside []uint64
	postponed         int
	stuck             bool
}

// send sends messages of one order, one after another, up to the first that
// cannot be.
func (d *drain) send(ctx context.Context, run []spool.Item) (r result) {
	for _, item := range run {
		if !d.pace.leave(ctx) {
			return r
		}
		switch err := d.sendOne(ctx, item.Message); {
		case err == nil:
			d.silent.Store(false)
			d.retry(item.Order)
			r.drained = append(r.drained, item.Sequence)
		case ofSubject(err):
			d.postpone(item.Order)
			r.postponed++
			return r
		case passes(err):
			r.stuck = true
			return r
		case d.moveAside(ctx, item, err):
			r.setAside = append(r.setAside, item.Sequence)
		default:
			return r
		}
	}
	return r
}

func (d *drain) sendOne(ctx context.Context, m visit.Message) error {
	if err := d.b.allows(m); err != nil {
		return &ownShare{err}
	}
	sending, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	_, err := d.b.publishUnless(sending, m, isDisconnected)
	return err
}

// ownShare is that an integration has its share of a stream, and others not.
type ownShare struct{ error }

func (s *ownShare) Unwrap() error { return s.error }

// ofSubject reports whether what NATS refuses to one order it may well take of
// another: rights and some limits are by subject, which names the site.
func ofSubject(err error) bool {
	var share *ownShare
	return errors.Is(err, visit.ErrDenied) || errors.As(err, &share) ||
		errors.Is(err, visit.ErrStreamFull) && strings.Contains(err.Error(), "per subject")
}

func isDisconnected(err error) bool { return errors.Is(err, visit.ErrDisconnected) }

// postpone leaves an order alone for a while: the others go on.
func (d *drain) postpone(order string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	pause := min(max(postponement, 2*d.later[order].pause), longestPostponement)
	until := time.Now().Add(pause)
	d.later[order] = postponed{pause, until, true}
	if d.next.IsZero() || until.Before(d.next) {
		d.next = until
	}
	d.spool.Park(d.root, order)
}

// resume lets those have their turn again who were left alone for long enough.
func (d *drain) resume(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next.IsZero() || now.Before(d.next) {
		return
	}
	// Not one by one, which would be to look at all of them for each.
	soon, due := now.Add(resumeEvery), []string{}
	d.next = time.Time{}
	for order, p := range d.later {
		switch {
		case !p.parked:
		case p.until.Before(soon):
			p.parked = false
			d.later[order] = p
			due = append(due, order)
		case d.next.IsZero() || p.until.Before(d.next):
			d.next = p.until
		}
	}
	d.spool.Unpark(d.root, due...)
}

// retry forgets that an order was postponed.
func (d *drain) retry(order string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.later, order)
}

func (d *drain) retryAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spool.Unpark(d.root, slices.Collect(maps.Keys(d.later))...)
	clear(d.later)
	d.next = time.Time{}
}

// passes reports whether an error is of the moment and not of the message.
func passes(err error) bool {
	for _, e := range []error{
		visit.ErrDisconnected, visit.ErrTimeout, visit.ErrStreamMissing, visit.ErrStreamFull, visit.ErrDenied,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// moveAside counts a refusal of a message for its own sake, and after some puts
// the message into the quarantine. It reports whether the message is gone from
// its place.
func (d *drain) moveAside(ctx context.Context, item spool.Item, refusal error) bool {
	attempts, err := d.spool.Failed(ctx, item.Sequence)
	if err != nil {
		d.log.Error("cannot count a refusal in the spool", "err", err.Error())
	}
	if attempts < maxRefusals {
		return false
	}
	if err := d.quarantine(ctx, item.Message); err != nil {
		d.log.Error("a refused message remains in the spool", "id", item.Message.ID, "err", err.Error())
		d.postpone(item.Order)
		return false
	}
	d.retry(item.Order)
	d.log.Error("spooled message moved to the quarantine", "id", item.Message.ID, "reason", refusal.Error())
	return true
}

// quarantine stores a refused message in the quarantine, or where that takes
// nothing now, among those that wait for it: what comes behind the message in its
// order has waited long enough.
func (d *drain) quarantine(ctx context.Context, m visit.Message) error {
	sending, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	refused := d.quarantined(m)
	_, err := d.b.publishUnless(sending, refused, passes)
	if err == nil || m.Root == visit.RootQuarantine {
		return err
	}
	if fault := d.put(ctx, refused); fault != nil {
		return errors.Join(err, fault)
	}
	return nil
}

// quarantined is a refused message as the quarantine keeps it.
func (f *buffer) quarantined(m visit.Message) visit.Message {
	first := func(header string) string { return strings.Join(m.Header[header], "") }
	site := strings.Split(strings.TrimPrefix(m.Subject, strings.TrimSuffix(f.b.keeper.subjects.All(m.Root), ">")), ".")[0]
	q := visit.Quarantined{
		RequestID: first(visit.HeaderRequestID), Trace: visit.TraceFromHeaders(m.Header), Site: site, Integration: first(visit.HeaderIntegration),
		Reason: visit.ReasonRefused, Received: time.Now().UTC(), EventID: m.ID, RefusedSubject: m.Subject, Body: m.Data,
	}
	return q.Message(f.b.keeper.subjects)
}
