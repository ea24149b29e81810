package resend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/broker/outbox/window"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// repeatTimeout is how long one message may take.
	repeatTimeout = 5 * time.Second
	// runsAtOnce are sent at the same time.
	runsAtOnce = 32
)

// repetition is one attempt to send again what is in the window.
type repetition struct {
	*Resender
	dedupe    time.Duration // for how long the stream recognises a repeat
	sent, old atomic.Int64
	failed    atomic.Bool // what takes nothing now takes nothing of the others
}

// send sends what is in the window, and reports whether that is done.
func (r *Resender) send(ctx context.Context) bool {
	all := &repetition{Resender: r, dedupe: r.Streams.DedupeWindow(r.Root)}
	err := r.Window.Review(func(runs []*window.Run) error { return all.sendRuns(ctx, runs) })
	sent, old := all.sent.Load(), all.old.Load()
	r.Resent.Add(float64(sent))
	if sent+old > 0 {
		r.Logger.Warn("messages that NATS had acknowledged are sent again: it may have lost them", "messages", sent, "too_old", old, "root", string(r.Root))
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, visit.ErrDisconnected) {
		r.Logger.Error("not all messages could be sent again that NATS may have lost", "err", err.Error())
	}
	return err == nil
}

// sendRuns sends runs at the same time, and the messages of each one after another.
func (r *repetition) sendRuns(ctx context.Context, runs []*window.Run) error {
	failed := make([]error, len(runs))
	places := make(chan struct{}, runsAtOnce)
	var sending sync.WaitGroup
	for i, run := range runs {
		places <- struct{}{}
		sending.Go(func() {
			defer func() { <-places }()
			if r.failed.Load() {
				return
			}
			if failed[i] = r.sendRun(ctx, run); failed[i] != nil {
				r.failed.Store(true)
			}
		})
	}
	sending.Wait()
	for _, err := range failed { // one stands for all
		if err != nil {
			return err
		}
	}
	return nil
}

func whileConnected(_ visit.Root, failure error) bool {
	return errors.Is(failure, visit.ErrDisconnected)
}

// sendRun sends messages of one ordering key. What NATS refuses to that key, or to one
// message for its own sake, goes to the spool with all behind it. The spool knows what to
// do about it.
func (r *repetition) sendRun(ctx context.Context, run *window.Run) error {
	for i := range run.Len() {
		m, ok := r.read(run, i)
		if !ok {
			continue
		}
		_, err := r.Publisher.Repeat(ctx, m.Message, time.Now().Add(repeatTimeout), whileConnected)
		switch {
		case err == nil:
			r.sent.Add(1)
		case r.Passes(err):
			return fmt.Errorf("send message %s again: %w", m.Message.ID, err)
		case m.Message.OfVisit():
			return r.spoolAhead(ctx, run, i)
		default:
			return r.spoolBehind(ctx, run, i)
		}
	}
	return nil
}

// read passes over what cannot be read, and over what the stream would not recognise any
// more.
func (r *repetition) read(run *window.Run, i int) (window.Acknowledged, bool) {
	m, ok := run.Read(i)
	if ok && m.Age > r.dedupe {
		r.old.Add(1)
		return m, false
	}
	return m, ok
}

// spoolAhead spools the messages of a visit from one on. They come before what came
// meanwhile: they were acknowledged before it.
func (r *repetition) spoolAhead(ctx context.Context, run *window.Run, from int) error {
	var entries []spool.Entry
	var indices []int
	for i := from; i < run.Len(); i++ {
		if m, ok := r.read(run, i); ok {
			entries, indices = append(entries, entryOf(m)), append(indices, i)
		}
	}
	if len(entries) == 0 { // the disk fails by now
		return nil
	}
	unlock, err := r.Lock(ctx, entries[0].Message)
	if err != nil {
		return err
	}
	defer unlock()
	return r.spooled(run, indices, r.Spool.PutAhead(ctx, entries...))
}

// spoolBehind spools other messages from one on. There may be many, and their key is not
// locked.
func (r *repetition) spoolBehind(ctx context.Context, run *window.Run, from int) error {
	for i := from; i < run.Len(); i++ {
		m, ok := r.read(run, i)
		if !ok {
			continue
		}
		if err := r.spooled(run, []int{i}, r.Spool.Put(ctx, entryOf(m))); err != nil {
			return err
		}
	}
	return nil
}

func entryOf(m window.Acknowledged) spool.Entry {
	return spool.Entry{Message: m.Message, Order: m.Message.OrderingKey, Stored: m.At}
}

// spooled counts what was put, and has the spool alone keep it, unless there was an error.
func (r *repetition) spooled(run *window.Run, indices []int, err error) error {
	if err != nil {
		return fmt.Errorf("spool what NATS may have lost: %w", err)
	}
	for _, i := range indices {
		run.Drop(i)
	}
	r.Spooled(len(indices))
	return nil
}
