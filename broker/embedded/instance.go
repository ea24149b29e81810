package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience bounds a start. It is long because a store that was not closed is read
// whole, and giving up half-way would only begin again.
const patience = 2 * time.Minute

// instance is one run of the NATS server, with its store.
type instance struct {
	nats   *server.Server
	log    *logger
	store  *store
	began  time.Time
	newest time.Time // when its newest message was stored, at the start
}

// Trace, if set, stands before the logger of each server, and gets all of the protocol, with
// what it carries of visitors: a test judges what is published by it, and nothing else sets
// it. Who does, does so before a server starts.
var Trace func(server.Logger) server.Logger

// newInstance starts a server, and leaves nothing behind when that fails.
func newInstance(options *server.Options, names Names, opened *store, log *logger) (*instance, error) {
	i := &instance{log: log, store: opened, began: time.Now()}
	err := setAccounts(options, names, opened.passwords)
	if err == nil {
		i.nats, err = server.NewServer(options)
	}
	if err != nil {
		opened.close()
		return nil, fmt.Errorf("configure the NATS server: %w", err)
	}
	if Trace != nil {
		i.nats.SetLoggerV2(Trace(log), false, true, false)
	} else {
		i.nats.SetLoggerV2(log, false, false, false)
	}
	if err := i.run(); err != nil {
		return nil, fmt.Errorf("start the NATS server: %w", err)
	}
	i.newest = i.newestMessage()
	return i, nil
}

func (i *instance) run() error {
	started := make(chan struct{})
	go func() {
		i.nats.Start()
		close(started)
	}()
	select {
	case <-started:
	case <-time.After(patience):
		// The store may still be open: its lock goes with it, not before.
		go func() { <-started; i.shutdown() }()
		return fmt.Errorf("not ready after %s", patience)
	}
	if err := i.ready(); err != nil {
		i.shutdown()
		return err
	}
	return nil
}

func (i *instance) ready() error {
	select {
	case fault := <-i.log.fatal:
		return errors.New(fault)
	default:
	}
	if !i.nats.ReadyForConnections(patience) || !i.nats.JetStreamEnabled() {
		return errors.New("it accepts no connections, or has no JetStream")
	}
	return nil
}

func (i *instance) shutdown() {
	i.nats.Shutdown()
	i.nats.WaitForShutdown()
	i.store.close()
}

// examine says why the instance stores nothing that would last, or nil.
//
// A stream that once failed to write answers nothing and stores nothing until the
// server is started anew, whatever the disk has done since; only its health says so.
// A write that was not permitted stops JetStream as a whole.
func (i *instance) examine() error {
	if err := i.intact(); err != nil {
		return err
	}
	if !i.nats.JetStreamEnabled() {
		return errors.New("JetStream has stopped")
	}
	for _, e := range i.nats.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, "write error") { // and not what a stop, or a stream being deleted, makes of it
			return errors.New(e.Error)
		}
	}
	return nil
}

// details are the streams with their states. The server answers between two writes.
func (i *instance) details() []server.StreamDetail {
	detail, err := i.nats.JszAccount(&server.JSzOptions{Account: relayAccount, Streams: true})
	if err != nil {
		return nil // there are none yet
	}
	return detail.Streams
}

// streams tells when each was created.
func (i *instance) streams() map[string]time.Time {
	all := map[string]time.Time{}
	for _, stream := range i.details() {
		all[stream.Name] = stream.Created
	}
	return all
}

// newestMessage is when the newest message of all streams was stored, or zero.
func (i *instance) newestMessage() (newest time.Time) {
	for _, stream := range i.details() {
		if stream.State.LastTime.After(newest) {
			newest = stream.State.LastTime
		}
	}
	return newest
}

// messages is how many are in all streams.
func (i *instance) messages() (all uint64) {
	for _, stream := range i.details() {
		all += stream.State.Msgs
	}
	return all
}

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
