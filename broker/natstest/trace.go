package natstest

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

// OnPublish, if set, judges each message with headers that a client sends to a server of
// a test, in the client's order and before anybody gets it; both slices are valid for the
// call only. A subscription in its place would count as a responder. What it returns fails
// the test. Who sets it does so before any test runs.
var OnPublish func(subject string, header, data []byte) error

// tracer is a logger of a server that reads the protocol out of what the server traces:
// a line for the operation HPUB, and a line for its headers and payload.
type tracer struct {
	mu sync.Mutex
	// open are the operations whose payload comes next, by client.
	open   map[string][]string
	failed []error
}

func (l *tracer) Tracef(format string, v ...any) {
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
func (l *tracer) publish(arguments []string, data []byte) {
	size, err := strconv.Atoi(arguments[len(arguments)-2])
	if err == nil && size <= len(data) {
		err = OnPublish(arguments[0], data[:size], data[size:])
	}
	if err != nil {
		l.mu.Lock()
		l.failed = append(l.failed, err)
		l.mu.Unlock()
	}
}

// end reports what was published and is wrong, once the server has stopped.
func (l *tracer) end(t testing.TB) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.failed[:min(len(l.failed), 5)] {
		t.Errorf("a message was published that is wrong: %v", err)
	}
}

func (*tracer) Noticef(string, ...any) {}
func (*tracer) Warnf(string, ...any)   {}
func (*tracer) Fatalf(string, ...any)  {}
func (*tracer) Errorf(string, ...any)  {}
func (*tracer) Debugf(string, ...any)  {}
