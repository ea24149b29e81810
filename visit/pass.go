package visit

import (
	"encoding/json"
	"time"
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
