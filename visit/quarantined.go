package visit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Reason is why a message is quarantined. Its values are part of the wire format.
type Reason string

const (
	// ReasonNotJSON is a body that is not valid JSON.
	ReasonNotJSON Reason = "not_json"
	// ReasonNotUTF8 is a body in another character encoding, such as UTF-16, or one
	// that is compressed without a Content-Encoding.
	ReasonNotUTF8 Reason = "not_utf8"
	// ReasonUnknownEncoding is a body with a content encoding that the relay does not
	// support, and ReasonBadEncoding one that cannot be decoded: it is damaged, or its
	// end is missing.
	ReasonUnknownEncoding Reason = "unknown_encoding"
	ReasonBadEncoding     Reason = "bad_encoding"
	// ReasonTooDeep is JSON that is nested deeper than the relay accepts.
	ReasonTooDeep Reason = "too_deep"
	// ReasonUnknownEvent is JSON whose field "event" names no known kind, sent to a URL
	// that names none either, or JSON that is not an object.
	ReasonUnknownEvent Reason = "unknown_event"
	// ReasonIncomplete is a body whose end was not received.
	ReasonIncomplete Reason = "incomplete"
	// ReasonTooLarge is a body that is larger than the relay accepts. Its beginning is
	// kept, or all of it when it is too large only after decoding.
	ReasonTooLarge Reason = "too_large"
	// ReasonRefused is an event that its stream refused repeatedly, for a reason that
	// lies in the event. The payload is the event's, not Sine's; its id and subject
	// are in [HeaderID] and [HeaderRefusedSubject].
	ReasonRefused Reason = "refused"
)

// Reasons are all values of [Reason].
var Reasons = []Reason{ReasonNotJSON, ReasonNotUTF8, ReasonUnknownEncoding, ReasonBadEncoding, ReasonTooDeep, ReasonUnknownEvent, ReasonIncomplete, ReasonTooLarge, ReasonRefused}

// Quarantined is a body that an authenticated client sent and the relay could not
// read, or an event that its stream refused. On the wire the body is the payload, byte
// for byte, and the other fields are headers.
type Quarantined struct {
	RequestID   string
	Trace       Trace
	Site        string
	Integration string
	Reason      Reason
	// Kind is the kind that the URL named, or empty.
	Kind     Kind
	Received time.Time
	// TimeZone is that of the site when the body came, a name of the IANA database. It is
	// empty in what relays before this field have kept.
	TimeZone string
	// Synthetic is set for an operator's test.
	Synthetic bool
	// ContentEncoding are the content encodings of Body, as in HTTP, or empty.
	ContentEncoding string
	// Cut is set when Body is only the beginning of what was sent.
	Cut bool
	// ContentLength is the Content-Length of a request whose body is cut, in bytes; 0
	// when it is not known.
	ContentLength int64
	// EventID and RefusedSubject are set for [ReasonRefused] only.
	EventID, RefusedSubject string
	Body                    []byte
}

// Message returns the message that is stored. Its id is the request id: a body that
// cannot be read cannot be distinguished from another visitor's, so a duplicate is
// kept again.
func (q *Quarantined) Message(s Subjects) Message {
	m := Message{
		Root: RootQuarantine, Subject: s.Quarantine(q.Site), ID: q.RequestID, OrderingKey: orderQuarantine + q.Integration,
		Header: map[string][]string{
			HeaderRequestID:   {q.RequestID},
			HeaderIntegration: {q.Integration},
			HeaderReason:      {string(q.Reason)},
			HeaderReceived:    {q.Received.Format(time.RFC3339Nano)},
		},
		Data: q.Body,
	}
	for name, value := range map[string]string{
		HeaderKind: string(q.Kind), HeaderID: q.EventID, HeaderRefusedSubject: q.RefusedSubject,
		HeaderContentEncoding: q.ContentEncoding, HeaderTimeZone: q.TimeZone,
	} {
		if value != "" {
			m.Header[name] = []string{value}
		}
	}
	q.Trace.addTo(m.Header)
	if q.Synthetic {
		m.Header[HeaderSynthetic] = []string{"true"}
	}
	if q.Cut {
		m.Header[HeaderCut] = []string{"true"}
	}
	if q.ContentLength > 0 {
		m.Header[HeaderContentLength] = []string{strconv.FormatInt(q.ContentLength, 10)}
	}
	if q.EventID != "" {
		m.ID = "refused-" + q.EventID
	}
	m.Header[HeaderMsgID] = []string{m.ID}
	return m
}

// ParseQuarantined reads a message of the quarantine stream. Its error names the header
// that is missing or invalid.
func ParseQuarantined(subject string, header map[string][]string, body []byte) (Quarantined, error) {
	get := func(name string) string { return strings.Join(header[name], "") }
	q := Quarantined{
		RequestID: get(HeaderRequestID), Trace: TraceFromHeaders(header), Integration: get(HeaderIntegration), Reason: Reason(get(HeaderReason)),
		Kind: Kind(get(HeaderKind)), Synthetic: get(HeaderSynthetic) == "true",
		ContentEncoding: get(HeaderContentEncoding), Cut: get(HeaderCut) == "true",
		TimeZone: get(HeaderTimeZone), EventID: get(HeaderID), RefusedSubject: get(HeaderRefusedSubject),
		Site: subject[strings.LastIndexByte(subject, '.')+1:], Body: body,
	}
	for _, name := range []string{HeaderRequestID, HeaderIntegration, HeaderReason} {
		if get(name) == "" {
			return q, fmt.Errorf("the header %s is missing", name)
		}
	}
	q.ContentLength, _ = strconv.ParseInt(get(HeaderContentLength), 10, 64)
	var err error
	if q.Received, err = time.Parse(time.RFC3339Nano, get(HeaderReceived)); err != nil {
		return q, fmt.Errorf("the header %s must be a time in RFC 3339", HeaderReceived)
	}
	return q, nil
}
