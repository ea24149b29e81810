package broker

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// drain empties the spool whenever there is a connection, until ctx ends. A stop
// at any instant only means that a message is sent again, with the same id.
func (f *buffer) drain(ctx context.Context) {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		up := f.b.facts.connected()
		stuck, moved, began := false, 0, time.Now()
		if f.b.facts.live.Load() {
			moved, stuck = f.round(ctx)
		}
		switch {
		case stuck:
			f.pace.setback()
			pause = min(max(2*pause, firstPause), longestDrainPause)
			rest(ctx, pause, up)
		case moved == 0:
			pause = 0
			f.idle(ctx, up)
		default:
			pause = 0
			f.pace.well(moved, time.Since(began))
		}
	}
}

// idle waits until there may be something to do.
func (f *buffer) idle(ctx context.Context, up <-chan struct{}) {
	timer := time.NewTimer(idlePoll/2 + rand.N(idlePoll))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-f.wake:
	case <-up:
	case <-timer.C:
	}
}

// round sends what may be sent now, and tells how many messages left the spool
// and whether nothing more can be stored at the moment.
func (f *buffer) round(ctx context.Context) (moved int, stuck bool) {
	runs, err := f.spool.Runs(drainKeys, drainRound, f.postponed)
	if err != nil {
		f.log.Error("the spool cannot be read", "err", err.Error())
		return 0, true
	}
	results := make([]result, len(runs))
	var sending sync.WaitGroup
	for i, run := range runs {
		sending.Go(func() { results[i] = f.send(ctx, run) })
	}
	sending.Wait()
	var all result
	for _, r := range results {
		all.drained = append(all.drained, r.drained...)
		all.setAside = append(all.setAside, r.setAside...)
		all.stuck = all.stuck || r.stuck
	}
	gone := slices.Concat(all.drained, all.setAside)
	if len(gone) == 0 {
		return 0, all.stuck
	}
	// Not given up with ctx: what is not forgotten here is sent again.
	if err := f.spool.Remove(context.WithoutCancel(ctx), gone...); err != nil {
		f.log.Error("the spool cannot forget what was sent", "err", err.Error())
		return 0, true
	}
	// The ledger counts what has left the spool, and so not before.
	f.metrics.drained.Add(float64(len(all.drained)))
	f.metrics.setAside.Add(float64(len(all.setAside)))
	return len(gone), all.stuck
}

// result is what became of messages: their sequences, and whether nothing more
// can be stored at the moment.
type result struct {
	drained, setAside []uint64
	stuck             bool
}

// send sends messages of one order, one after another, up to the first that
// cannot be.
func (f *buffer) send(ctx context.Context, run []spool.Item) (r result) {
	for _, item := range run {
		if !f.pace.leave(ctx) {
			return r
		}
		sending, cancel := context.WithTimeout(ctx, drainPatience)
		_, err := f.b.publishUnless(sending, item.Message, isDisconnected)
		cancel()
		switch {
		case err == nil:
			f.silent.Store(false)
			r.drained = append(r.drained, item.Sequence)
		case passes(err):
			r.stuck = true
			return r
		case f.setAside(ctx, item, err):
			r.setAside = append(r.setAside, item.Sequence)
		default:
			return r
		}
	}
	return r
}

func isDisconnected(err error) bool { return errors.Is(err, visit.ErrDisconnected) }

// postpone leaves an order alone for a while: the others go on.
func (f *buffer) postpone(order string) { f.later.Store(order, time.Now().Add(postponement)) }

func (f *buffer) postponed(order string) bool {
	until, found := f.later.Load(order)
	if found && time.Now().After(until.(time.Time)) {
		f.later.Delete(order)
		return false
	}
	return found
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

// setAside counts a refusal of a message for its own sake, and after some puts
// the message into the quarantine. It reports whether the message is gone from
// its place.
func (f *buffer) setAside(ctx context.Context, item spool.Item, refusal error) bool {
	attempts, err := f.spool.Failed(ctx, item.Sequence)
	if err != nil {
		f.log.Error("the spool cannot count a refusal", "err", err.Error())
	}
	if attempts < maxRefusals {
		return false
	}
	sending, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	if _, err := f.b.publish(sending, f.quarantined(item.Message)); err != nil {
		f.log.Error("a refused message stays in the spool", "id", item.Message.ID, "err", err.Error())
		f.postpone(item.Order)
		return false
	}
	f.log.Error("a message was set aside to the quarantine", "id", item.Message.ID, "reason", refusal.Error())
	return true
}

// quarantined is a refused message as the quarantine keeps it.
func (f *buffer) quarantined(m visit.Message) visit.Message {
	first := func(header string) string { return strings.Join(m.Header[header], "") }
	site := strings.Split(strings.TrimPrefix(m.Subject, strings.TrimSuffix(f.b.keeper.subjects.All(m.Root), ">")), ".")[0]
	q := visit.Quarantined{
		RequestID: first(visit.HeaderRequestID), Site: site, Integration: first(visit.HeaderIntegration),
		Reason: visit.ReasonRefused, Received: time.Now().UTC(), EventID: m.ID, RefusedSubject: m.Subject, Body: m.Data,
	}
	return q.Message(f.b.keeper.subjects)
}
