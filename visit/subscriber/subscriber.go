// Package subscriber receives visitor events and decides check-in requests, for
// programs of other teams.
//
// [Events] delivers every event at least once: a program must expect an event again,
// with the same ID, and do its work only once; [Dedupe] helps with that. Corrections of
// events are delivered to those that ask for them. [Decide] replies to check-in requests
// while a visitor waits.
//
// Both shut down gracefully when their context ends, and lose nothing. Neither connects
// to NATS nor closes a connection: that is up to the caller.
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

// ErrStillRunning is returned when handlers were still running after the grace period,
// although their context had ended too. Nothing is lost: an event is redelivered, a
// check-in request gets the relay's fallback.
var ErrStillRunning = errors.New("handlers were still running after the grace period")

const (
	defaultGrace = 20 * time.Second
	// lastWait is the time for what ends by itself: handlers that observe their
	// context, the last acknowledgements.
	lastWait = time.Second
)

// PanicError is reported when a handler panicked. Its text contains the value of the
// panic, which may be personal data: consider that before logging it.
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

// logError is the default OnError: a handler that always fails must not do so
// silently.
func logError(err error) { slog.Warn("subscriber failed", "error", err) }

// finished waits for done, at most for grace; then it ends the handlers' context and
// waits a moment for those that observe it.
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

// ErrDenied is returned when the NATS user lacks a permission. The error names the
// subject.
var ErrDenied = errors.New("permission denied")

const permissionPoll = 100 * time.Millisecond

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

// watchPermission reports the first denial before ctx ends.
func watchPermission(ctx context.Context, nc *nats.Conn, before error, ours func(string) bool, report func(error)) {
	ticker := time.NewTicker(permissionPoll)
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

// watchPermissions reports missing permissions without which a decider still runs: to
// be discovered, and to reply. It returns a function that stops it.
func (d *decider) watchPermissions(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	before := d.nc.LastError()
	var watchers sync.WaitGroup
	watch := func(ours func(string) bool, remedy string) {
		watchers.Go(func() {
			watchPermission(ctx, d.nc, before, ours, func(err error) { d.cfg.OnError(fmt.Errorf("decide: %s: %w", remedy, err)) })
		})
	}
	watch(isDiscovery, "no permission for service discovery: allow the user to subscribe to $SRV.>")
	watch(d.isReply, "no permission to reply: set allow_responses for the user")
	return func() { cancel(); watchers.Wait() }
}

func isDiscovery(subject string) bool { return strings.HasPrefix(subject, micro.APIPrefix+".") }

func (d *decider) isReply(subject string) bool {
	last := d.replied.Load()
	return last != nil && *last == subject
}

// needs reports whether the consumer cannot work without a subject: creating it,
// pulling, acknowledging, and the inbox that all replies go to.
func (c EventsConfig) needs(nc *nats.Conn, subject string) bool {
	id := "." + c.Stream + "." + c.Durable
	return strings.Contains(subject, ".CONSUMER.CREATE"+id+".") ||
		strings.HasSuffix(subject, ".CONSUMER.MSG.NEXT"+id) ||
		strings.Contains(subject, "$JS.ACK.") && strings.Contains(subject, id+".") ||
		strings.HasPrefix(subject, natsperm.Inbox(nc))
}
