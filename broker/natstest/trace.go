package natstest

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// A Judge is called with each message with headers that a client sends to a server, in the
// client's order and before anybody gets it; both slices are valid for the call only. A
// subscription in its place would count as a responder.
type Judge func(subject string, header, data []byte) error

// NewJudge, if set, makes the judge of each server of a test. What that returns fails the
// test. Who sets it does so before any test runs.
var NewJudge func() Judge

// Tracer is a logger of a server that reads the protocol out of what the server traces:
// a line for the operation HPUB, and a line for its headers and payload. What it does not
// trace goes to the logger in it.
type Tracer struct {
	server.Logger
	judge Judge

	mu sync.Mutex
	// open are the operations whose payload comes next, by client.
	open   map[string][]string
	failed []error
}

// NewTracer is a tracer before a logger.
func NewTracer(before server.Logger, judge Judge) *Tracer {
	return &Tracer{Logger: before, judge: judge, open: map[string][]string{}}
}

// Tracef is called by the server.
func (l *Tracer) Tracef(format string, v ...any) {
	if client, is := strings.CutSuffix(format, " - <<- %s"); is && len(v) == 1 {
		if op, ok := v[0].([]any); ok && len(op) == 2 && op[0] == "HPUB" {
			arguments, _ := op[1].(string)
			l.mu.Lock()
			l.open[client] = strings.Fields(strings.Clone(arguments))
			l.mu.Unlock()
		}
		return
	}
	client, is := strings.CutSuffix(format, " - %s MSG_PAYLOAD: [%q]")
	if !is || len(v) != 2 || v[0] != "<<-" {
		return
	}
	l.mu.Lock()
	arguments := l.open[client]
	delete(l.open, client)
	l.mu.Unlock()
	if data, ok := v[1].([]byte); ok && len(arguments) >= 3 {
		l.publish(arguments, data)
	}
}

// publish reads SUBJECT [REPLY] LENGTH-OF-HEADERS LENGTH.
func (l *Tracer) publish(arguments []string, data []byte) {
	size, err := strconv.Atoi(arguments[len(arguments)-2])
	if err == nil && size <= len(data) {
		err = l.judge(arguments[0], data[:size], data[size:])
	}
	if err != nil {
		l.mu.Lock()
		l.failed = append(l.failed, err)
		l.mu.Unlock()
	}
}

// Failed is what the judge found wrong.
func (l *Tracer) Failed() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// end reports it, once the server has stopped.
func (l *Tracer) end(t testing.TB) {
	for _, err := range l.Failed()[:min(len(l.Failed()), 5)] {
		t.Errorf("a message was published that is wrong: %v", err)
	}
}

// silent logs nothing.
type silent struct{}

func (silent) Noticef(string, ...any) {}
func (silent) Warnf(string, ...any)   {}
func (silent) Fatalf(string, ...any)  {}
func (silent) Errorf(string, ...any)  {}
func (silent) Debugf(string, ...any)  {}
func (silent) Tracef(string, ...any)  {}
