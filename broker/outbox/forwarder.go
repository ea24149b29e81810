package outbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/outbox/publish"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// forwardTimeout is how long one message from the spool may take.
	forwardTimeout = 10 * time.Second
	// forwardKeys messages of different ordering keys are on their way at once, and
	// forwardRound altogether are read from the spool at once.
	forwardKeys  = 32
	forwardRound = 1024
	// idlePoll is how often an empty spool is checked without a trigger.
	idlePoll = 250 * time.Millisecond
	// firstForwardPause and longestForwardPause are between two attempts while nothing
	// can be stored.
	firstForwardPause   = 10 * time.Millisecond
	longestForwardPause = time.Second
)

// forwarder empties the spool of the messages of one root. Each root has a stream of
// its own and a forwarder of its own: a stream that is full, or has no leader, holds
// up no other.
type forwarder struct {
	root      visit.Root
	conn      *conn.Conn
	publisher *publish.Publisher
	spooler   *spooler
	ramp      *ramp
	// paused reports whether what is in the spool must wait.
	paused func() bool

	mu    sync.Mutex
	later map[string]postponed // ordering keys that are left alone, or were
	next  time.Time            // when one of them has its turn again; zero for never
}

func (o *Outbox) newForwarder(root visit.Root) *forwarder {
	return &forwarder{
		root: root, conn: o.conn, publisher: o.publisher, spooler: o.spooler, ramp: newRamp(), later: make(map[string]postponed),
		paused: func() bool { return o.resendsFirst(root) },
	}
}

// run sends what waits whenever there is a connection, until ctx ends. A stop at
// any instant only means that a message is sent again, with the same id.
func (f *forwarder) run(ctx context.Context) {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		connected := f.conn.NextConnect()
		r, began := result{}, time.Now()
		if f.conn.Connected() && !f.paused() {
			r = f.round(ctx)
		}
		switch {
		case r.stuck:
			f.ramp.reset()
			pause = min(max(2*pause, firstForwardPause), longestForwardPause)
			publish.Pause(ctx, pause, connected)
		case r.moved > 0:
			pause = 0
			f.ramp.well(r.moved, time.Since(began))
		case r.postponed > 0: // and so the next ones have their turn
		default:
			pause = 0
			f.idle(ctx, connected)
		}
	}
}

// idle waits until there may be something to do.
func (f *forwarder) idle(ctx context.Context, connected <-chan struct{}) {
	timer := time.NewTimer(idlePoll/2 + rand.N(idlePoll))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-f.spooler.wake[f.root]:
	case <-connected:
		f.retryAll() // perhaps with other rights
	case <-timer.C:
	}
}

// round sends what may be sent now, and tells what left the spool.
func (f *forwarder) round(ctx context.Context) (all result) {
	f.resume(time.Now())
	batch, err := f.spooler.spool.Runs(f.root, forwardKeys, forwardRound)
	if err != nil {
		f.spooler.log.Error("the spool cannot be read", "err", err.Error())
		return result{stuck: true}
	}
	if len(batch) == 0 {
		return result{}
	}
	leaving := newDeparture(f.spooler)
	results := make([]result, len(batch))
	var sending sync.WaitGroup
	for i, run := range batch {
		sending.Go(func() { results[i] = f.send(ctx, run, leaving) })
	}
	sending.Wait()
	for _, r := range results {
		all.moved += r.moved
		all.stuck = all.stuck || r.stuck
		all.postponed += r.postponed
	}
	if !leaving.end() {
		return result{stuck: true}
	}
	return all
}

// result is what became of messages: how many left the spool, how many ordering keys
// are left alone for a while, and whether nothing more can be stored at the moment.
type result struct {
	moved, postponed int
	stuck            bool
}

// send sends messages of one ordering key, one after another, up to the first that
// cannot be.
func (f *forwarder) send(ctx context.Context, run []spool.Item, leaving *departure) (r result) {
	for _, item := range run {
		if !f.ramp.leave(ctx) || f.paused() {
			return r
		}
		item.Message.OrderingKey = item.Order // which the window keeps, too
		switch err := f.sendOne(ctx, item.Message); {
		case err == nil:
			f.spooler.unresponsive.Store(false)
			f.retry(item.Order)
			r.moved++
			leaving.forwarded(item.Sequence)
		case ofSubject(err):
			f.postpone(item.Order)
			r.postponed++
			return r
		case passes(err):
			r.stuck = true
			return r
		case f.moveAside(ctx, item, err):
			r.moved++
			leaving.setAside(item.Sequence)
		default:
			return r
		}
	}
	return r
}

func (f *forwarder) sendOne(ctx context.Context, m visit.Message) error {
	if err := f.spooler.shares.allowsQuarantine(m); err != nil {
		return &ownShare{err}
	}
	_, err := f.publisher.Publish(ctx, m, time.Now().Add(forwardTimeout), f.giveUp)
	return err
}

// giveUp ends the attempts to send a message where the others have to wait, too.
func (f *forwarder) giveUp(_ visit.Root, failure error) bool {
	return isDisconnected(failure) || f.paused()
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
