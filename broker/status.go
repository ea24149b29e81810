package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is where the broker stands at one moment. "Disconnected" is
// !DoorConnected or !EventsConnected without a Fault; whatever only a person can
// mend is a Fault.
type Status struct {
	DoorConnected, EventsConnected bool
	// Server is the URL of the server in use, without password, or empty.
	Server string
	// LastError is the last error of a connection since it was last made,
	// or empty.
	LastError string
	// LastErrorAt is when that was.
	LastErrorAt time.Time
	// AsksNobody is set while NATS lets everybody in, see [AsksNobody].
	AsksNobody bool
	Streams    []StreamStatus
	// Spool is nil where there is none.
	Spool *SpoolStatus
	// Orders has lines about the operator's standing orders.
	Orders []string
	// OrdersRead is set once the orders were known; it stays set.
	OrdersRead bool
	// Impaired is what a person must mend while everything else works: a stream
	// or the spool is full, or a reason to look at the spool's directory. Or nil.
	Impaired error
	// Verified is set once every stream was found fit; it stays set.
	Verified bool
	// Fault is set while a person must help: NATS refuses the credentials, a
	// certificate or the answers' inbox, a stream is unusable, or one takes
	// the questions. It names the remedy and clears by itself.
	Fault error
}

// SpoolStatus is how many messages wait in the spool, and what fraction is used of
// what may wait there, or of its disk where that holds less.
type SpoolStatus struct {
	Messages int
	Full     float64
}

// StreamStatus is what was last found about one stream.
type StreamStatus struct {
	Name string
	// Verified is set once the stream was found fit; it stays set.
	Verified bool
	// Fault is why the stream is unusable, or nil.
	Fault error
	// Pending is why the last look at the stream brought nothing, or nil.
	Pending error
	// Refused is why the stream did not store the last message, or nil.
	Refused error
	// Drift has a line for each difference with which the stream still works.
	Drift []string
}

// Status says where the broker stands.
func (b *Broker) Status() Status {
	s := Status{
		DoorConnected:   b.door.stands(),
		EventsConnected: b.events.stands(),
		Server:          b.events.serverInUse(),
	}
	if b.buffer != nil {
		messages, _ := b.buffer.spool.Usage()
		s.Spool = &SpoolStatus{messages, b.buffer.spool.Full()}
	}
	s.AsksNobody = b.asksNobody()
	impaired := []error{b.ignored.fault()}
	if b.buffer != nil {
		impaired = append(impaired, b.buffer.health.impairment())
	}
	if s.EventsConnected && s.DoorConnected {
		impaired = append(impaired, b.deaf())
	}
	s.Orders = b.orderLines()
	if _, known := b.orders.Orders(); known {
		b.ordersOnce.Store(true)
	}
	s.OrdersRead = b.ordersOnce.Load()
	doorErr, doorFault := b.door.state()
	eventsErr, eventsFault := b.events.state()
	last := doorErr
	if eventsErr.at.After(doorErr.at) {
		last = eventsErr
	}
	s.LastError, s.LastErrorAt = last.text, last.at
	streams, streamFault := b.keeper.state()
	s.Streams, s.Verified = streams, true
	for _, one := range streams {
		s.Verified = s.Verified && one.Verified
	}
	s.Fault = inOneLine(doorFault, eventsFault, streamFault, b.orderFault())
	impaired = append(impaired, b.full(streams)...)
	s.Impaired = inOneLine(impaired...)
	return s
}

// full says what takes no more, by what was last refused.
func (b *Broker) full(streams []StreamStatus) (faults []error) {
	for _, one := range streams {
		faults = append(faults, one.Refused)
	}
	faults = append(faults, b.quarantined.exhausted()...)
	if b.buffer == nil {
		return faults
	}
	room, disk := b.buffer.health.faults()
	return append(append(faults, disk), room...)
}

// Lines is the status for somebody who looks closer.
func (s Status) Lines() []string {
	lines := []string{fmt.Sprintf("nats: check-in requests %s, events %s", connectedOrNot(s.DoorConnected), connectedOrNot(s.EventsConnected))}
	if s.Server != "" {
		lines = append(lines, "server: "+s.Server)
	}
	if s.AsksNobody {
		lines = append(lines, AsksNobody)
	}
	if s.LastError != "" {
		lines = append(lines, fmt.Sprintf("last error at %s: %s", s.LastErrorAt.UTC().Format(time.RFC3339), s.LastError))
	}
	if s.Spool != nil {
		lines = append(lines, fmt.Sprintf("spool: %d messages, %.0f %% full", s.Spool.Messages, 100*s.Spool.Full))
	}
	if s.Impaired != nil {
		lines = append(lines, s.Impaired.Error())
	}
	for _, line := range s.Orders {
		// What is wrong with the orders impairs the relay, and was said before.
		if s.Impaired == nil || !strings.Contains(s.Impaired.Error(), strings.TrimPrefix(line, "orders: ")) {
			lines = append(lines, line)
		}
	}
	for _, one := range s.Streams {
		lines = append(lines, one.line())
		lines = append(lines, one.Drift...)
	}
	return lines
}

func (s StreamStatus) line() string {
	switch {
	case s.Fault != nil:
		return s.Fault.Error()
	case isWillNotLast(s.Refused):
		return fmt.Sprintf("stream %s: %v", s.Name, s.Refused)
	case s.Refused != nil:
		return s.Refused.Error()
	case s.Pending != nil:
		return fmt.Sprintf("stream %s: %v", s.Name, s.Pending)
	default:
		return fmt.Sprintf("stream %s: verified", s.Name)
	}
}

func connectedOrNot(connected bool) string {
	if connected {
		return "connected"
	}
	return "not connected"
}

// connError is an error of a connection.
type connError struct {
	text string
	at   time.Time
}

// state returns the last error, and what only a person can mend.
func (l *link) state() (lastErr connError, fault error) {
	l.mu.Lock()
	refused, lastErr := l.refused, l.lastErr
	l.mu.Unlock()
	if l.live.Load() {
		// A word of the refusal may come after the connection was made.
		refused = nil
	}
	if inbox := l.waiting.refusal(); refused == nil && inbox != nil {
		refused = fmt.Errorf("connection %s: %w", l.name, inbox)
	}
	return lastErr, refused
}

func (k *keeper) state() ([]StreamStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	faults := []error{k.general}
	var streams []StreamStatus
	for _, s := range k.streams {
		faults = append(faults, s.fault)
		streams = append(streams, StreamStatus{
			Name: s.want.name, Verified: s.verified, Fault: s.fault, Pending: s.pending, Refused: s.refused(), Drift: s.drift.lines(s.want.name),
		})
	}
	return streams, inOneLine(faults...)
}

// inOneLine joins errors for a log line, where errors.Join would break it. What is
// said twice stands there once.
func inOneLine(all ...error) error {
	var texts []string
	for _, err := range all {
		if err != nil && !slices.Contains(texts, err.Error()) {
			texts = append(texts, err.Error())
		}
	}
	if texts == nil {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}
