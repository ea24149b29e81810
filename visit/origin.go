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

// Pass is what Sine says about a visit. Every field may be empty: Sine sends what its
// site collects, and the relay adds nothing.
type Pass struct {
	// Person is the visitor.
	Person Person `json:"person"`
	// Company is the visitor's.
	Company string `json:"company,omitempty"`
	// Host is who is visited.
	Host *Host `json:"host,omitempty"`
	// VisitorType is one of those that the site defines in Sine.
	VisitorType string `json:"visitorType,omitempty"`
	// FormAnswers are the answers to the questions of the site's form.
	FormAnswers []FormAnswer `json:"answers,omitempty"`
}

// Person is the visitor. Texts are as Sine sent them: an email address need not be
// valid, nor a number in any form.
type Person struct {
	// ID is Sine's id of the person, the same at each visit, where Sine sends one and
	// the relay knows where. It never identifies a visit.
	ID string `json:"id,omitempty"`
	// FirstName is the visitor's first name.
	FirstName string `json:"firstName,omitempty"`
	// LastName is the visitor's last name, or the whole name where Sine sends it in one
	// text: FirstName is absent then.
	LastName string `json:"lastName,omitempty"`
	// Email is the visitor's email address.
	Email string `json:"email,omitempty"`
	// Mobile is the visitor's telephone number.
	Mobile string `json:"mobile,omitempty"`
	// PhotoURL is where Sine has the visitor's photo.
	PhotoURL string `json:"photoUrl,omitempty"`
}

// Host is the person or the group that is visited; any field may be empty.
type Host struct {
	// FirstName is the host's first name.
	FirstName string `json:"firstName,omitempty"`
	// LastName is the host's last name.
	LastName string `json:"lastName,omitempty"`
	// Group is the group of hosts that is visited.
	Group string `json:"group,omitempty"`
}

// FormAnswer is the answer to one question of a site's form.
type FormAnswer struct {
	// Label is the question.
	Label string `json:"label,omitempty"`
	// Value is the text that Sine sent; a value of another type is its JSON.
	Value string `json:"value"`
}

// TimeBasis says where a time comes from. Its values are part of the wire format.
type TimeBasis string

const (
	// TimeFromSine is a time with a zone, or an epoch, as Sine sent it.
	TimeFromSine TimeBasis = "sine"
	// TimeInAssumedZone is a time that came without a zone and was read in
	// the integration's configured zone.
	TimeInAssumedZone TimeBasis = "assumed-zone"
	// TimeReceived means that Sine sent no usable time; it is the time at which the
	// relay received the webhook.
	TimeReceived TimeBasis = "received"
)

// VisitKey identifies a visit: its check-in and its check-out have the same key.
type VisitKey struct {
	// Value is Sine's own id of the pass or visit. An id that does not consist of
	// 1 to 128 letters, digits and the characters "._:-" is replaced by the
	// first half, as 32 hexadecimal digits, of the SHA-256 over the word "visit" and the
	// id, each preceded by its length as eight bytes, big-endian, so that the value is
	// valid anywhere. It is
	// empty when the basis is [VisitKeyNone].
	Value string `json:"value,omitempty"`
	// Basis says where the key comes from.
	Basis VisitKeyBasis `json:"basis"`
}

// FromSine reports whether the key is an id that Sine sent. Equal keys of one site then
// stand for the same visit.
func (k VisitKey) FromSine() bool { return k.Basis == VisitKeyFromSine && k.Value != "" }

// VisitKeyBasis says where a visit's key comes from. A key is never guessed from
// names. Its values are part of the wire format.
type VisitKeyBasis string

const (
	// VisitKeyFromSine is an id that Sine sent.
	VisitKeyFromSine VisitKeyBasis = "sine-id"
	// VisitKeyNone means that Sine sent no id.
	VisitKeyNone VisitKeyBasis = "none"
)

// Origin says where and when a webhook was received. Check-in requests and events
// have it.
type Origin struct {
	// RequestID is the id of the webhook, as in the relay's log line and in the
	// header of its response.
	RequestID string `json:"requestId"`
	// Trace is how a trusted proxy identified it.
	Trace Trace `json:"trace,omitzero"`
	// Site is the name of the integration's site.
	Site string `json:"site"`
	// Integration is the name of the relay's integration that Sine called.
	Integration string `json:"integration"`
	// ExternalID is what somebody entered in Sine as the external id of the
	// integration, to match the site in another system: that of the relay's
	// configuration, or else what Sine sent.
	ExternalID string `json:"externalId,omitempty"`
	// Time is when the visitor checked in or out, or asked to; see TimeBasis.
	Time time.Time `json:"time"`
	// TimeBasis says where Time comes from.
	TimeBasis TimeBasis `json:"timeBasis"`
	// TimeZone is the site's, a name of the IANA database, from the relay's
	// configuration: "UTC" unless it was set there. It is absent in messages of earlier
	// relays. Time may be in another zone: see [Origin.LocalTime].
	TimeZone string `json:"timeZone,omitempty"`
	// Received is when the relay received the webhook, by its own clock.
	Received time.Time `json:"received"`
	// Visit identifies the visit.
	Visit VisitKey `json:"visit"`
	// Synthetic marks a test by an operator: there is no visitor. Nothing that a
	// client sends to the public listener sets it.
	Synthetic bool `json:"synthetic,omitempty"`
}

// Source is a body byte for byte as Sine sent it, without a content encoding and a
// byte order mark. It may be absent: v1 allows an installation to leave it out.
type Source = json.RawMessage

// ErrNoTimeZone is returned by [Origin.LocalTime] when TimeZone is empty, as in
// messages of earlier relays.
var ErrNoTimeZone = errors.New("the site has no time zone")

// LocalTime is Time in the site's time zone: use it for hours, weekdays and dates,
// which in Time may be those of UTC. It returns [ErrNoTimeZone] when TimeZone is
// empty, and an error when the zone is unknown to this program.
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

// Trace is how a trusted proxy in front of the relay identified a request, so that
// its log and the traces of other teams are found from the relay's. Both fields are
// empty when no trusted proxy sent them.
type Trace struct {
	// XRequestID is the proxy's X-Request-Id.
	XRequestID string `json:"xRequestId,omitempty"`
	// Traceparent is the header of that name of W3C Trace Context, version 00. The
	// relay creates no span of its own: the parent of a decider's span is the proxy's.
	Traceparent string `json:"traceparent,omitempty"`
}

var traceparentForm = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

// NewTrace returns a trace of the two values. One that does not have the required
// form is left out: a proxy may pass on what a stranger sent, and a value that is shorter
// than 16 characters, or has no digit, could be a name or a telephone number.
func NewTrace(xRequestID, traceparent string) (t Trace) {
	if consistsOf(xRequestID, "_.:-", 16, 128) && strings.ContainsAny(xRequestID, "0123456789") {
		t.XRequestID = xRequestID
	}
	parts := traceparentForm.FindStringSubmatch(traceparent)
	if parts != nil && strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != "" {
		t.Traceparent = traceparent
	}
	return t
}

// TraceID is the trace id in Traceparent, or empty.
func (t Trace) TraceID() string {
	if parts := traceparentForm.FindStringSubmatch(t.Traceparent); parts != nil {
		return parts[1]
	}
	return ""
}

// TraceFromHeaders reads the headers that [Trace.Headers] returns, as [NewTrace] does.
func TraceFromHeaders(header map[string][]string) Trace {
	get := func(name string) string { return strings.Join(header[name], "") }
	return NewTrace(get(HeaderXRequestID), get(HeaderTraceparent))
}

// Headers returns a header for each field that is not empty.
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
