package visit

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // in an image without a zone database, every time would be UTC
)

// Pass is what Sine says about the person at the door. Every field may be
// empty: Sine sends what its site collects, and the relay invents nothing.
type Pass struct {
	Person      Person       `json:"person"`
	Company     string       `json:"company,omitempty"`
	Host        *Host        `json:"host,omitempty"`
	VisitorType string       `json:"visitorType,omitempty"`
	FormAnswers []FormAnswer `json:"answers,omitempty"`
}

// Person is the visitor.
type Person struct {
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	Email     string `json:"email,omitempty"`
	Mobile    string `json:"mobile,omitempty"`
	PhotoURL  string `json:"photoUrl,omitempty"`
}

// Host is the person or the group that is visited; either part may be empty.
type Host struct {
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	Group     string `json:"group,omitempty"`
}

// FormAnswer is one answer to a question of a site's form. Value is the text that
// Sine sent; an answer that was not a text is given as its JSON.
type FormAnswer struct {
	Label string `json:"label,omitempty"`
	Value string `json:"value"`
}

// TimeBasis says how far a time can be trusted.
type TimeBasis string

const (
	// TimeFromSine is a time with a zone, or an epoch, as Sine sent it.
	TimeFromSine TimeBasis = "sine"
	// TimeInAssumedZone is a time that came without a zone and was read in
	// the integration's configured zone.
	TimeInAssumedZone TimeBasis = "assumed-zone"
	// TimeReceived means that Sine sent no usable time; the time is that at
	// which the relay received the call.
	TimeReceived TimeBasis = "received"
)

// VisitKey identifies one visit, so that its check-in and check-out can be put
// together.
type VisitKey struct {
	// Value is Sine's own id of the pass or visit. An id that is not made
	// of 1 to 128 letters, digits and the signs "._:-" is replaced by its
	// SHA-256, so that the value can be carried anywhere. Empty when the
	// basis is [VisitKeyNone].
	Value string        `json:"value,omitempty"`
	Basis VisitKeyBasis `json:"basis"`
}

// VisitKeyBasis says where a visit's key comes from. It is never guessed from names.
type VisitKeyBasis string

const (
	// VisitKeyFromSine is an id that Sine sent.
	VisitKeyFromSine VisitKeyBasis = "sine-id"
	// VisitKeyNone means that Sine sent no id.
	VisitKeyNone VisitKeyBasis = "none"
)

// Origin says where something came in, and when. It is common to requests and
// events.
type Origin struct {
	// RequestID is the id of the webhook call, as in the relay's log line
	// and in the header of its answer.
	RequestID string `json:"requestId"`
	// Trace is what a proxy called it.
	Trace Trace  `json:"trace,omitzero"`
	Site  string `json:"site"`
	// Integration is the name of the WebHook integration in Sine.
	Integration string    `json:"integration"`
	Time        time.Time `json:"time"`
	TimeBasis   TimeBasis `json:"timeBasis"`
	// TimeZone is the site's, by its name in the IANA database, as the relay's
	// configuration has it: "UTC" where nobody has set it there. It is empty in
	// what an earlier relay wrote. Time may be in another: see [Origin.LocalTime].
	TimeZone string `json:"timeZone,omitempty"`
	// Received is when the relay received the call, by its own clock.
	Received time.Time `json:"received"`
	Visit    VisitKey  `json:"visit"`
	// Synthetic marks a call that an operator made to try the relay: nobody
	// stood at the door. Nothing that a caller sends to the webhook sets it.
	Synthetic bool `json:"synthetic,omitempty"`
}

// Source is a body byte for byte as Sine sent it, without a content encoding and a
// byte order mark. It may be absent: v1 allows
// an installation to leave it out.
type Source = json.RawMessage

// ErrNoTimeZone is returned by [Origin.LocalTime] for what was written by a relay
// that did not say the site's time zone.
var ErrNoTimeZone = errors.New("the time zone of the site is missing")

// LocalTime is Time as a clock on the site's wall shows it: go by it for hours,
// weekdays and dates. Where Sine writes UTC, Time has those of UTC. It fails where
// TimeZone is empty or not known to this program.
func (o Origin) LocalTime() (time.Time, error) {
	if o.TimeZone == "" {
		return time.Time{}, ErrNoTimeZone
	}
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil {
		return time.Time{}, fmt.Errorf("time zone of the site: %w", err)
	}
	return o.Time.In(zone), nil
}

// Trace is what a trusted proxy in front of the relay calls a webhook call, so that
// its log and other teams' traces are found from the relay's. Both fields are empty
// where no such proxy said anything.
type Trace struct {
	// XRequestID is the proxy's X-Request-Id.
	XRequestID string `json:"xRequestId,omitempty"`
	// Traceparent is the header of that name in W3C Trace Context, version 00. The
	// relay makes no span of its own: a decider's span follows the proxy's.
	Traceparent string `json:"traceparent,omitempty"`
}

// The forms that are taken up. A proxy may pass on what a stranger sent: what is
// shorter than 16 characters, or has no digit, could be a name or a telephone number.
var (
	xRequestIDForm  = regexp.MustCompile(`^[A-Za-z0-9_.:-]{16,128}$`)
	traceparentForm = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)
)

// NewTrace returns a trace of those of the two values that have their form, and
// leaves out the others.
func NewTrace(xRequestID, traceparent string) (t Trace) {
	if xRequestIDForm.MatchString(xRequestID) && strings.ContainsAny(xRequestID, "0123456789") {
		t.XRequestID = xRequestID
	}
	parts := traceparentForm.FindStringSubmatch(traceparent)
	if parts != nil && strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != "" {
		t.Traceparent = traceparent
	}
	return t
}

// TraceID is the part of Traceparent that all spans of a trace share, or empty.
func (t Trace) TraceID() string {
	if parts := traceparentForm.FindStringSubmatch(t.Traceparent); parts != nil {
		return parts[1]
	}
	return ""
}

// TraceFromHeaders reads the headers that [Trace.Headers] returns.
func TraceFromHeaders(header map[string][]string) Trace {
	get := func(name string) string { return strings.Join(header[name], "") }
	return NewTrace(get(HeaderXRequestID), get(HeaderTraceparent))
}

// Headers has a header for each field that is not empty.
func (t Trace) Headers() map[string]string {
	h := map[string]string{}
	if t.XRequestID != "" {
		h[HeaderXRequestID] = t.XRequestID
	}
	if t.Traceparent != "" {
		h[HeaderTraceparent] = t.Traceparent
	}
	return h
}

// addTo adds the headers to those of a message.
func (t Trace) addTo(header map[string][]string) {
	for name, value := range t.Headers() {
		header[name] = []string{value}
	}
}
