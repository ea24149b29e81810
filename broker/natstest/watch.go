package natstest

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

// OnPublish, if set, judges each message with headers that a client sends to a server of
// a test, in the client's order and before anybody gets it; both slices are valid for the
// call only. A subscription would be less: NATS takes it for somebody who answers. What it
// returns fails the test. Who sets it does so before any test runs.
var OnPublish func(subject string, header, data []byte) error

// tracer is a logger of a server that reads the protocol out of what the server traces:
// a line for the operation HPUB, and a line for its headers and payload.
type tracer struct {
	mu sync.Mutex
	// open are the operations whose payload comes next, by client.
	open   map[string][]string
	failed []error
}

func (w *tracer) Tracef(format string, v ...any) {
	if client, is := strings.CutSuffix(format, " - <<- %s"); is && len(v) == 1 {
		if op, ok := v[0].([]any); ok && len(op) == 2 && op[0] == "HPUB" {
			arguments, _ := op[1].(string)
			w.mu.Lock()
			w.open[client] = strings.Fields(strings.Clone(arguments))
			w.mu.Unlock()
		}
		return
	}
	client, is := strings.CutSuffix(format, " - %s MSG_PAYLOAD: [%q]")
	if !is || len(v) != 2 || v[0] != "<<-" {
		return
	}
	w.mu.Lock()
	arguments := w.open[client]
	delete(w.open, client)
	w.mu.Unlock()
	if data, ok := v[1].([]byte); ok && len(arguments) >= 3 {
		w.publish(arguments, data)
	}
}

// publish reads SUBJECT [REPLY] LENGTH-OF-HEADERS LENGTH.
func (w *tracer) publish(arguments []string, data []byte) {
	size, err := strconv.Atoi(arguments[len(arguments)-2])
	if err == nil && size <= len(data) {
		err = OnPublish(arguments[0], data[:size], data[size:])
	}
	if err != nil {
		w.mu.Lock()
		w.failed = append(w.failed, err)
		w.mu.Unlock()
	}
}

// end reports what was published and is wrong, once the server has stopped.
func (w *tracer) end(t testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.failed[:min(len(w.failed), 5)] {
		t.Errorf("a message was published that is wrong: %v", err)
	}
}

func (*tracer) Noticef(string, ...any) {}
func (*tracer) Warnf(string, ...any)   {}
func (*tracer) Fatalf(string, ...any)  {}
func (*tracer) Errorf(string, ...any)  {}
func (*tracer) Debugf(string, ...any)  {}
