// Package subscriber is what other teams use to receive visitor events and to
// decide check-in requests.
//
// [Events] hands over every event at least once: a program must expect the same
// event again, with the same ID, and do its work only once. [Decide] answers
// check-in requests while a visitor waits.
//
// Both end in an orderly way with their context and lose nothing. Neither
// connects to NATS nor closes a connection: that is the caller's.
package subscriber

import (
	"fmt"
	"runtime/debug"
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
