package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// Events is an operator's view of the event stream, with all that Sine sent. It stores
// events, and changes none.
type Events struct {
	cfg Config
	nc  dial.Link
}

// StoredEvent is a message of the event stream. Exactly one of Event and Fault is set.
type StoredEvent struct {
	Sequence uint64
	Event    *visit.Event
	// Fault is why it cannot be read: another client than the relay wrote it.
	Fault error
}

// ErrDeleted is returned for a message that the stream does not have any more.
var ErrDeleted = errors.New("it was deleted")

// OpenEvents connects with what cfg says about servers, authentication and names.
func OpenEvents(cfg Config) (*Events, error) {
	cfg, nc, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	return &Events{cfg, nc}, nil
}

// Close disconnects.
func (s *Events) Close() { s.nc.Close() }

// Each calls fn for each message of a site, or of all for an empty one, that was stored
// since a time, oldest first, until fn returns an error, which it returns. An event that
// the relay received since then is among them: clocks may differ by a minute.
func (s *Events) Each(ctx context.Context, site string, since time.Time, fn func(StoredEvent) error) error {
	from := since.Add(-clockSkew)
	subject := s.cfg.Streams.Subjects.Event(cmp.Or(site, "*"), "*")
	return s.pager(batch{StartTime: &from, Subject: subject}).each(ctx, func(m *jetstream.RawStreamMsg) error { return fn(s.Parse(m)) })
}

// Latest calls fn for each of the last so many messages, as Each does. What is deleted
// meanwhile is left out.
func (s *Events) Latest(ctx context.Context, messages uint64, fn func(StoredEvent) error) error {
	subject := s.cfg.Streams.Subjects.Event("*", "*")
	last, err := s.pager(batch{}).last(ctx, subject)
	if err != nil || last == nil {
		return err
	}
	first := uint64(1)
	if last.Sequence > messages {
		first = last.Sequence - messages + 1
	}
	return s.pager(batch{Sequence: first, Subject: subject}).each(ctx, func(m *jetstream.RawStreamMsg) error { return fn(s.Parse(m)) })
}

// Get returns the message with a sequence number. Its error is [ErrDeleted] where there is
// none.
func (s *Events) Get(ctx context.Context, sequence uint64) (StoredEvent, error) {
	var found *jetstream.RawStreamMsg
	err := s.pager(batch{}).get(ctx, batch{Sequence: sequence, Batch: 1, MaxBytes: batchBytes}, func(m *jetstream.RawStreamMsg) {
		found = m
	}, func(*nats.Msg) {})
	switch {
	case err != nil:
		return StoredEvent{}, err
	case found == nil || found.Sequence != sequence: // NATS gives the next one then
		return StoredEvent{}, fmt.Errorf("message %d of stream %s: %w", sequence, s.cfg.Streams.Events.Name, ErrDeleted)
	default:
		return s.Parse(found), nil
	}
}

func (s *Events) pager(from batch) *pager {
	return &pager{nc: s.nc, stream: s.cfg.Streams.Events.Name, next: from}
}

// Parse reads a message of the stream. Its fault quotes nothing of it.
func (s *Events) Parse(m *jetstream.RawStreamMsg) StoredEvent {
	e := &visit.Event{}
	if err := json.Unmarshal(m.Data, e); err != nil || e.ID == "" || !e.Kind.IsEvent() || s.cfg.Streams.Subjects.Event(e.Site, e.Kind) != m.Subject {
		return StoredEvent{Sequence: m.Sequence, Fault: fmt.Errorf("message %d of stream %s cannot be read", m.Sequence, s.cfg.Streams.Events.Name)}
	}
	return StoredEvent{Sequence: m.Sequence, Event: e}
}

// Submit stores an event, as [Quarantine.Submit] does.
func (s *Events) Submit(ctx context.Context, e *visit.Event) (visit.Receipt, error) {
	return submit(ctx, s.cfg, s.nc, e)
}

// submit stores an event in its stream. Receipt.Duplicate says that it was there. An error
// that is visit.ErrTooLarge concerns this event alone.
func submit(ctx context.Context, cfg Config, nc dial.Link, e *visit.Event) (visit.Receipt, error) {
	m, err := e.Message(cfg.Streams.Subjects)
	if err != nil {
		return visit.Receipt{}, err
	}
	return store(ctx, nc, m, cfg.Streams.Events.Name)
}

// store stores a message in a stream, and in no other.
func store(ctx context.Context, nc dial.Link, m visit.Message, stream string) (visit.Receipt, error) {
	m.Header[jetstream.ExpectedStreamHeader] = []string{stream}
	var ack *streams.Ack
	err := nc.WhilePermitted(ctx, func(ctx context.Context) error {
		reply, err := nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		if err == nil {
			ack, err = streams.ParseAck(reply.Data, stream)
		}
		return err
	}, m.Subject)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		err = visit.ErrStreamMissing
	case errors.Is(err, nats.ErrMaxPayload):
		err = fmt.Errorf("%w: NATS accepts at most %d bytes", visit.ErrTooLarge, nc.MaxPayload())
	}
	if err != nil {
		return visit.Receipt{}, fmt.Errorf("publish %s: %w", m.Subject, nc.Explain(err))
	}
	return visit.Receipt{Stream: ack.Stream, Sequence: ack.Sequence, Duplicate: ack.Duplicate}, nil
}
