package embedded

import (
	"fmt"
	"log/slog"
	"strings"
)

// logger is nats-server's log. It never ends the process, whatever the server
// calls fatal.
type logger struct {
	log   *slog.Logger
	fatal chan string // the first of them
	// failed is called at each error. The server may hold any of its locks then.
	failed func()
}

func newLogger(log *slog.Logger, failed func()) *logger {
	return &logger{log: log.With("component", "nats-server"), fatal: make(chan string, 1), failed: failed}
}

// Fatalf keeps the fault for [Start]. The server returns after it and is of no
// use any more.
func (l *logger) Fatalf(format string, v ...any) {
	fault := fmt.Sprintf(format, v...)
	select {
	case l.fatal <- fault: // Start returns it
	default:
		l.log.Error(fault)
	}
}

func (l *logger) Errorf(format string, v ...any) {
	l.log.Error(fmt.Sprintf(format, v...))
	l.failed()
}

func (l *logger) Warnf(format string, v ...any) {
	// The password is random and its file lies beside the messages that it
	// guards: a hash of it would protect nothing.
	if strings.HasPrefix(format, "Plaintext passwords detected") {
		return
	}
	l.log.Warn(fmt.Sprintf(format, v...))
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }

// Debugf and Tracef are never called: both are off, and a trace would hold
// payloads.
func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}
