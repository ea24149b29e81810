// Package subscriber is what other teams use to receive visitor events and to
// decide check-in requests.
//
// [Events] hands over every event at least once: a program must expect the same
// event again, with the same ID, and do its work only once; [Dedupe] helps with
// that. [Decide] answers check-in requests while a visitor waits.
//
// Both end in an orderly way with their context and lose nothing. Neither
// connects to NATS nor closes a connection: that is the caller's.
package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/internal/natsperm"
)

// ErrStillRunning is returned when the context has ended, and handlers went on
// beyond the grace period although their own context had ended too. Nothing is
// lost: an event comes again, a question gets the relay's fallback.
var ErrStillRunning = errors.New("handlers were still running after the grace period")

const (
	defaultGrace = 20 * time.Second
	// lastWait is what remains for things that end by themselves: handlers
	// that heed their context, the last acknowledgements on their way.
	lastWait = time.Second
)

// PanicError is reported when a handler panicked. It says what with, which may
// hold personal data: think before logging it.
type PanicError struct {
	Value any
	Stack []byte
}

func (p *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", p.Value) }

// recovered runs f and turns a panic into an error.
func recovered(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

// logError stands in for a missing OnError: a handler that fails for ever must
// not do so in silence.
func logError(err error) { slog.Warn("sine relay subscriber", "error", err) }

// finished waits for done, at most for grace, then ends the handlers' context
// and gives those that heed it a moment.
func finished(done <-chan struct{}, grace time.Duration, abort func()) error {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
	}
	abort()
	timer.Reset(lastWait)
	select {
	case <-done:
		return nil
	case <-timer.C:
		return ErrStillRunning
	}
}

// ErrDenied is returned when the NATS user lacks a permission. The error names
// the subject.
var ErrDenied = errors.New("permission denied")

const denialsEvery = 100 * time.Millisecond

// denial is the server's latest refusal of a subject that is ours, unless it is
// the one that was there before. The connection's error handler hears of it, but
// that is the caller's.
func denial(nc *nats.Conn, before error, ours func(subject string) bool) error {
	v, ok := natsperm.Last(nc)
	if !ok || v.Err == before || !ours(v.Subject) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDenied, v.Err)
}

// watchDenials reports the first denial that comes before ctx ends.
func watchDenials(ctx context.Context, nc *nats.Conn, before error, ours func(string) bool, report func(error)) {
	ticker := time.NewTicker(denialsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := denial(nc, before, ours); err != nil {
				report(err)
				return
			}
		}
	}
}

// heedDenials reports what NATS refuses a decider that goes on all the same: to be
// seen in discovery, and to answer. It returns how to stop.
func (d *decider) heedDenials(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	before := d.nc.LastError()
	var watchers sync.WaitGroup
	watch := func(ours func(string) bool, remedy string) {
		watchers.Go(func() {
			watchDenials(ctx, d.nc, before, ours, func(err error) { d.cfg.OnError(fmt.Errorf("decide: %s: %w", remedy, err)) })
		})
	}
	watch(isDiscovery, "not seen in discovery, allow the user to subscribe to $SRV.>")
	watch(d.isReply, "no answer arrives, set allow_responses for the user")
	return func() { cancel(); watchers.Wait() }
}

func isDiscovery(subject string) bool { return strings.HasPrefix(subject, micro.APIPrefix+".") }

func (d *decider) isReply(subject string) bool {
	last := d.replied.Load()
	return last != nil && *last == subject
}

// needs reports whether the consumer cannot work without a subject: creating
// it, pulling, acknowledging, and the inbox that all answers come to.
func (c EventsConfig) needs(nc *nats.Conn, subject string) bool {
	id := "." + c.Stream + "." + c.Durable
	return strings.Contains(subject, ".CONSUMER.CREATE"+id+".") ||
		strings.HasSuffix(subject, ".CONSUMER.MSG.NEXT"+id) ||
		strings.Contains(subject, "$JS.ACK.") && strings.Contains(subject, id+".") ||
		strings.HasPrefix(subject, natsperm.Inbox(nc))
}
