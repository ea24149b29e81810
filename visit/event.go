package visit

// Event says that a visitor was checked in or out. It is the body of a message on
// [Subjects.Event].
//
// A correction is an event that says again what another one said, read from the same
// source by a better configuration. It is published on the subject of that event, is of
// the same kind and was received at the same time; its ID is its own. A program that counts
// visitors, or does something for each, leaves corrections out: nobody came. A program that
// keeps state keeps it by [Event.OriginalID], and replaces it by a later one; see
// [Event.Supersedes].
type Event struct {
	// ID is the same for every delivery of an event; see [EventID]. It equals the
	// message's "ce-id" and "Nats-Msg-Id".
	ID string `json:"id"`
	// Kind is which event it is: a check-in or a check-out.
	Kind Kind `json:"kind"`
	// Corrects is set on a correction: the id of the event that it corrects, which is
	// never a correction itself. See [Event.Supersedes].
	Corrects string `json:"corrects,omitempty"`
	// Revision counts the corrections of an event: 1 for the first, 0 for the event
	// itself.
	Revision int `json:"revision,omitempty"`
	Origin
	Pass
	// Cause is set on a check-out only.
	Cause Cause `json:"cause,omitempty"`
	// Missing are the fields that the integration expects and the body lacks, by their
	// paths such as "person.lastName", in order: where one of several would do, all of
	// these. An event is stored whatever it lacks.
	Missing []string `json:"missing,omitempty"`
	// Source is the body that Sine sent, byte for byte, white space included, but
	// without a content encoding and a byte order mark. It contains the fields that
	// the relay does not know. On the wire it is always the last field. It may be
	// absent.
	Source Source `json:"source,omitempty"`
}

// Cause says why a pass ended.
type Cause string

const (
	// CauseCheckedOut means that somebody checked the visitor out.
	CauseCheckedOut Cause = "checked_out"
	// CauseExpired means that the pass ran out: the visitor may still be
	// inside.
	CauseExpired Cause = "expired"
	// CauseLeftArea means that the visitor's telephone left the site's area: Sine's app
	// checks people out then.
	CauseLeftArea Cause = "left_area"
	// CauseUnknown means that Sine did not say which of them it was.
	CauseUnknown Cause = "unknown"
)

// MarshalEvent returns the wire form of e. Source is spliced in byte for byte;
// the caller guarantees that it is valid JSON in UTF-8.
func MarshalEvent(e *Event) ([]byte, error) {
	w := newEncoder()
	defer w.release()
	w.begin()
	w.text("id", e.ID)
	w.text("kind", string(e.Kind))
	w.optional("corrects", e.Corrects)
	w.count("revision", e.Revision)
	e.Origin.encode(w)
	e.Pass.encode(w)
	w.optional("cause", string(e.Cause))
	w.list("missing", e.Missing)
	w.source(e.Source)
	w.end()
	return w.bytes()
}

// UnmarshalJSON reads the wire form and keeps Source byte for byte.
func (e *Event) UnmarshalJSON(data []byte) error {
	type plain Event
	if err := unmarshal(data, (*plain)(e)); err != nil {
		return err
	}
	e.Source = sourceBytes(data, e.Source)
	return nil
}

// CheckInRequest asks a decider for a [Decision] while a visitor waits. The message
// has the headers [HeaderRequestID], [HeaderIntegration] and [HeaderTimeout]. It may
// be sent twice, with the same RequestID: the second message also has
// [HeaderAttempt].
type CheckInRequest struct {
	Origin
	Pass
	// Missing is as in [Event]. It is not empty for a decider alone that takes
	// incomplete check-in requests.
	Missing []string `json:"missing,omitempty"`
	// Source is last on the wire; see [Event.Source].
	Source Source `json:"source,omitempty"`
}

// MarshalCheckInRequest returns the wire form of r. Source is spliced in byte for
// byte; the caller guarantees that it is valid JSON in UTF-8.
func MarshalCheckInRequest(r *CheckInRequest) ([]byte, error) {
	w := newEncoder()
	defer w.release()
	w.begin()
	r.Origin.encode(w)
	r.Pass.encode(w)
	w.list("missing", r.Missing)
	w.source(r.Source)
	w.end()
	return w.bytes()
}

// UnmarshalJSON reads the wire form and keeps Source byte for byte.
func (r *CheckInRequest) UnmarshalJSON(data []byte) error {
	type plain CheckInRequest
	if err := unmarshal(data, (*plain)(r)); err != nil {
		return err
	}
	r.Source = sourceBytes(data, r.Source)
	return nil
}
