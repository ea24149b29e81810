package visit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Reason says why a body could not be understood. Its values are part of the
// wire format.
type Reason string

const (
	// ReasonNotJSON is a body that is not valid JSON.
	ReasonNotJSON Reason = "not_json"
	// ReasonNotUTF8 is a body in another character encoding, such as UTF-16, or
	// compressed without saying so.
	ReasonNotUTF8 Reason = "not_utf8"
	// ReasonUnknownEncoding is a body with a content encoding that the relay does
	// not read, and ReasonBadEncoding one whose content encoding cannot be undone:
	// it is damaged, or its end is missing.
	ReasonUnknownEncoding Reason = "unknown_encoding"
	ReasonBadEncoding     Reason = "bad_encoding"
	// ReasonTooDeep is JSON that is nested deeper than the relay reads.
	ReasonTooDeep Reason = "too_deep"
	// ReasonUnknownEvent is JSON that names no event the relay knows and
	// came to a URL that names none either, or is not a pass at all.
	ReasonUnknownEvent Reason = "unknown_event"
	// ReasonIncomplete is a body whose end never came.
	ReasonIncomplete Reason = "incomplete"
	// ReasonTooLarge is a body that is larger than the relay reads. Its
	// beginning was kept, or, where it is too large once its content encoding is
	// undone, all of it.
	ReasonTooLarge Reason = "too_large"
	// ReasonRefused is an event that the stream refused for its own sake, time
	// and again. The payload is the event's, not Sine's; its id and subject
	// are in [HeaderID] and [HeaderRefusedSubject].
	ReasonRefused Reason = "refused"
)

// Reasons are all of them.
var Reasons = []Reason{ReasonNotJSON, ReasonNotUTF8, ReasonUnknownEncoding, ReasonBadEncoding, ReasonTooDeep, ReasonUnknownEvent, ReasonIncomplete, ReasonTooLarge, ReasonRefused}

// Quarantined is a body that an authenticated caller sent and the relay could
// not understand, or an event that its stream refused. On the wire the body is
// the payload, byte for byte, and the rest are headers.
type Quarantined struct {
	RequestID   string
	Trace       Trace
	Site        string
	Integration string
	Reason      Reason
	// Kind is the event that the URL named, or empty.
	Kind     Kind
	Received time.Time
	// Synthetic is set when somebody tried the relay out.
	Synthetic bool
	// ContentEncoding is the content encodings that the body has, as HTTP lists them, or
	// empty.
	ContentEncoding string
	// Cut is set when only the beginning of the body was kept.
	Cut bool
	// ContentLength is how many bytes the caller said that a body has of which
	// only the beginning was kept; zero where that is not known.
	ContentLength int64
	// EventID and RefusedSubject are set for [ReasonRefused] only.
	EventID, RefusedSubject string
	Body                    []byte
}

// Message returns the body as it is stored. Its id is the call's own: what
// cannot be read cannot be told from another visitor's, so a repeat is kept
// again.
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
		HeaderContentEncoding: q.ContentEncoding,
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

// ParseQuarantined reads a message of the quarantine. Its error names the header
// that is missing or wrong.
func ParseQuarantined(subject string, header map[string][]string, body []byte) (Quarantined, error) {
	get := func(name string) string { return strings.Join(header[name], "") }
	q := Quarantined{
		RequestID: get(HeaderRequestID), Trace: TraceFromHeaders(header), Integration: get(HeaderIntegration), Reason: Reason(get(HeaderReason)),
		Kind: Kind(get(HeaderKind)), Synthetic: get(HeaderSynthetic) == "true",
		ContentEncoding: get(HeaderContentEncoding), Cut: get(HeaderCut) == "true",
		EventID: get(HeaderID), RefusedSubject: get(HeaderRefusedSubject),
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
		return q, fmt.Errorf("the header %s is not a time of RFC 3339", HeaderReceived)
	}
	return q, nil
}
