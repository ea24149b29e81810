package visit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Message is ready to be published to NATS. [HeaderMsgID] is the only header in it
// that NATS interprets.
type Message struct {
	Root    Root
	Subject string
	// ID identifies duplicates. A check-in request has none.
	ID string
	// OrderingKey is equal for messages that must keep their sequence: those of a
	// visit when Sine sent its id, else of an integration. It is not sent.
	OrderingKey string
	Header      map[string][]string
	Data        []byte
}

// Prefixes of [Message.OrderingKey].
const (
	orderVisit       = "visit/"
	orderIntegration = "integration/"
	orderDecision    = "decision/"
	orderQuarantine  = "quarantine/"
	orderAudit       = "audit"
)

// OfVisit reports whether the ordering key is that of a visit.
func (m Message) OfVisit() bool { return strings.HasPrefix(m.OrderingKey, orderVisit) }

// Message returns the event as a CloudEvent in binary mode.
func (e *Event) Message(s Subjects) (Message, error) {
	data, err := MarshalEvent(e)
	if err != nil {
		return Message{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	h := headers(
		HeaderSpecVersion, SpecVersion,
		HeaderID, e.ID,
		HeaderMsgID, e.ID,
		HeaderType, EventType(e.Kind),
		HeaderSource, EventSource(e.Site, e.Integration),
		HeaderTime, e.Time.Format(time.RFC3339Nano),
		HeaderDataContentType, ContentJSON,
		HeaderDataSchema, EventSchema,
		HeaderContentType, ContentJSON,
		HeaderRequestID, e.RequestID,
		HeaderIntegration, e.Integration,
	)
	e.Trace.addTo(h)
	if e.IsCorrection() {
		h[HeaderCorrects] = []string{e.Corrects}
	}
	order := orderIntegration + e.Integration
	if e.Visit.FromSine() {
		h[HeaderSubject] = []string{e.Visit.Value}
		order = orderVisit + e.Visit.Value
	}
	return Message{Root: RootEvent, Subject: s.Event(e.Site, e.Kind), ID: e.ID, OrderingKey: order, Header: h, Data: data}, nil
}

// Message returns the request to one decider.
func (r *CheckInRequest) Message(s Subjects, decider string) (Message, error) {
	data, err := MarshalCheckInRequest(r)
	if err != nil {
		return Message{}, fmt.Errorf("encode check-in request %s: %w", r.RequestID, err)
	}
	h := headers(
		HeaderContentType, ContentJSON,
		HeaderRequestID, r.RequestID,
		HeaderIntegration, r.Integration,
	)
	r.Trace.addTo(h)
	return Message{Root: RootAsk, Subject: s.Ask(r.Site, decider), Header: h, Data: data}, nil
}

// headers makes a header of names and values by turns. The values share one array.
func headers(pairs ...string) map[string][]string {
	h := make(map[string][]string, len(pairs)/2+2)
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = pairs[i+1 : i+2 : i+2]
	}
	return h
}

const sourceField = `,"source":`

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

// Why a check-in request got no decision from a decider.
var (
	// ErrNoDecider is returned when no decider subscribes to the request's subject.
	ErrNoDecider = errors.New("no decider is subscribed")
	// ErrTimeout is returned when no reply came before the deadline.
	ErrTimeout = errors.New("no reply before the deadline")
	// ErrBadReply is returned when the reply is an error or an invalid decision.
	ErrBadReply = errors.New("bad reply")
)

// Why a message could not be published to NATS. ErrDisconnected and ErrDenied also
// apply to check-in requests, ErrTimeout also to publishing.
var (
	// ErrDisconnected is returned when there was no connection to NATS, or it was
	// lost before the reply came.
	ErrDisconnected = errors.New("disconnected from NATS")
	// ErrDenied is returned when the relay's NATS user has no permission for the
	// subject.
	ErrDenied = errors.New("permission denied by NATS")
	// ErrStreamFull is returned when the stream has reached its limit.
	ErrStreamFull = errors.New("stream is full")
	// ErrStreamMissing is returned when no stream has the subject, or the stream has
	// no leader.
	ErrStreamMissing = errors.New("no stream for the subject")
	// ErrTooLarge is returned when the message exceeds the size limit of NATS or of
	// the stream.
	ErrTooLarge = errors.New("message is too large")
)

// ErrNotFound is returned when what is asked for is not stored, or not any more.
var ErrNotFound = errors.New("not found")

// ErrInvalidOrder is returned beside the standing orders that are stored, where single
// entries among them are invalid and have no effect. The orders are complete then.
var ErrInvalidOrder = errors.New("not a valid standing order")

// Receipt says where a message was stored.
type Receipt struct {
	Stream   string
	Sequence uint64
	// Duplicate is set when the stream already had the message, from an earlier
	// webhook and not from a retry of the same one.
	Duplicate bool
	// Spooled is set when the message is not in a stream yet but synced to the
	// relay's disk, from which it will be forwarded. Stream and Sequence are empty
	// then.
	Spooled bool
}
