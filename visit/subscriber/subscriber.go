// Package subscriber is what other teams use to receive visitor events and to
// decide check-in requests.
//
// [Events] hands over every event at least once: a program must expect the same
// event again, with the same ID, and do its work only once; [Once] helps with
// that. [Decide] answers check-in requests while a visitor waits.
//
// Both end in an orderly way with their context and lose nothing. Neither
// connects to NATS nor closes a connection: that is the caller's.
package subscriber

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
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
