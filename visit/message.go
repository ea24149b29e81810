package visit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Message is something ready to be sent over NATS. Its header holds no name
// that NATS would obey except [HeaderMsgID].
type Message struct {
	Root    Root
	Subject string
	// ID is what a repeat is recognised by. A question has none.
	ID string
	// OrderingKey is what messages have in common that must stay in their order: the
	// visit where Sine names it, else the integration. It does not travel.
	OrderingKey string
	Header      map[string][]string
	Data        []byte
}

// What an [Message.Order] begins with.
const (
	orderVisit       = "visit/"
	orderIntegration = "integration/"
	orderDecision    = "decision/"
	orderQuarantine  = "quarantine/"
)

// OfVisit reports whether the message's order is that of one visit.
func (m Message) OfVisit() bool { return strings.HasPrefix(m.OrderingKey, orderVisit) }

// Message returns the event as it travels: a CloudEvent in binary mode.
func (e *Event) Message(s Subjects) (Message, error) {
	data, err := MarshalEvent(e)
	if err != nil {
		return Message{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	h := map[string][]string{
		HeaderSpecVersion:     {SpecVersion},
		HeaderID:              {e.ID},
		HeaderMsgID:           {e.ID},
		HeaderType:            {EventType(e.Kind)},
		HeaderSource:          {EventSource(e.Site, e.Integration)},
		HeaderTime:            {e.Time.Format(time.RFC3339Nano)},
		HeaderDataContentType: {ContentJSON},
		HeaderContentType:     {ContentJSON},
		HeaderRequestID:       {e.RequestID},
		HeaderIntegration:     {e.Integration},
	}
	e.Trace.addTo(h)
	order := orderIntegration + e.Integration
	if e.Visit.Basis == VisitKeyFromSine {
		h[HeaderSubject] = []string{e.Visit.Value}
		order = orderVisit + e.Visit.Value
	}
	return Message{Root: RootEvent, Subject: s.Event(e.Site, e.Kind), ID: e.ID, OrderingKey: order, Header: h, Data: data}, nil
}

// Message returns the request as a question to one decider.
func (r *CheckInRequest) Message(s Subjects, decider string) (Message, error) {
	data, err := MarshalCheckInRequest(r)
	if err != nil {
		return Message{}, fmt.Errorf("encode request %s: %w", r.RequestID, err)
	}
	h := map[string][]string{
		HeaderContentType: {ContentJSON},
		HeaderRequestID:   {r.RequestID},
		HeaderIntegration: {r.Integration},
	}
	r.Trace.addTo(h)
	return Message{Root: RootAsk, Subject: s.Ask(r.Site, decider), Header: h, Data: data}, nil
}

const sourceField = `,"source":`

// marshal encodes head, an object with at least one field, and splices source
// in as its last field. json.Marshal would compact a RawMessage and escape
// parts of it, and Sine's bytes would not be Sine's any more.
func marshal(head any, source Source) ([]byte, error) {
	b := heads.Get().(*bytes.Buffer)
	defer keepHead(b)
	b.Reset()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(head); err != nil {
		return nil, err
	}
	encoded := bytes.TrimSuffix(b.Bytes(), []byte("}\n"))
	// As long as it is and no longer: it may wait for seconds to be stored.
	out := make([]byte, 0, len(encoded)+len(sourceField)+len(source)+1)
	out = append(out, encoded...)
	if len(source) > 0 {
		out = append(out, sourceField...)
		out = append(out, source...)
	}
	return append(out, '}'), nil
}

// heads are buffers in which heads are encoded.
var heads = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepHead gives a buffer back, unless it has become large.
func keepHead(b *bytes.Buffer) {
	if b.Cap() <= 32<<10 {
		heads.Put(b)
	}
}

func unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

// sourceBytes widens parsed, the value of the last field "source" in object,
// by the white space around it, which the decoder leaves out and Sine sent. A
// message in which source is not last was not written by the relay: there the
// decoder's view is kept.
func sourceBytes(object []byte, parsed Source) Source {
	if len(parsed) == 0 {
		return parsed
	}
	body, closed := bytes.CutSuffix(bytes.TrimRight(object, " \t\r\n"), []byte("}"))
	if !closed {
		return parsed
	}
	end := bytes.TrimRight(body, " \t\r\n")
	if !bytes.HasSuffix(end, parsed) {
		return parsed
	}
	start := len(bytes.TrimRight(end[:len(end)-len(parsed)], " \t\r\n"))
	if !bytes.HasSuffix(body[:start], []byte(sourceField)) {
		return parsed
	}
	return bytes.Clone(body[start:])
}

// Why a question to a decider brought no decision.
var (
	// ErrNoDecider is returned when nobody listens for the question.
	ErrNoDecider = errors.New("no decider is listening")
	// ErrTimeout is returned when the time ran out.
	ErrTimeout = errors.New("no answer in time")
	// ErrBadReply is returned when the reply was an error or not a decision.
	ErrBadReply = errors.New("bad reply")
)

// Why a message could not be handed to NATS. ErrDisconnected and ErrDenied also
// apply to questions, ErrTimeout also to publishing.
var (
	// ErrDisconnected is returned when there was no connection to NATS, or it
	// dropped before the answer came.
	ErrDisconnected = errors.New("disconnected from NATS")
	// ErrDenied is returned when NATS refuses the subject to the relay's user.
	ErrDenied = errors.New("permission denied by NATS")
	// ErrStreamFull is returned when the stream has reached its limit.
	ErrStreamFull = errors.New("stream is full")
	// ErrStreamMissing is returned when no stream takes the subject, or it has
	// no leader.
	ErrStreamMissing = errors.New("no stream takes the subject")
	// ErrTooLarge is returned when the message exceeds a limit of NATS or of
	// the stream.
	ErrTooLarge = errors.New("message is too large")
)

// Receipt says where a message was stored.
type Receipt struct {
	Stream   string
	Sequence uint64
	// Duplicate is set when the stream already held the message, from an
	// earlier call and not from the publisher's own retry.
	Duplicate bool
	// Spooled is set when the message is not in a stream yet but synced to the
	// relay's own disk, from where it will go there. Stream and Sequence are
	// empty then.
	Spooled bool
}
