package visit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Verdict is the result of a decision. Its values are part of the wire format.
type Verdict string

const (
	// Accept lets the visitor in.
	Accept Verdict = "accept"
	// Reject does not.
	Reject Verdict = "reject"
)

// Decision is a decider's reply to a [CheckInRequest].
type Decision struct {
	// Verdict is required. A reply without it is a bad reply and not a rejection, so
	// that no other message can be taken for a decision.
	Verdict Verdict `json:"decision"`
	// VisitorText is shown to the visitor, at most 8 KiB. A rejection should have
	// one; otherwise, or when it is blank, the integration's own text is used.
	VisitorText string `json:"visitorText,omitempty"`
	// AdminNote is shown to the site's administrators, at most 8 KiB.
	AdminNote string `json:"adminNote,omitempty"`
	// Pass has further fields for the response to Sine when the visitor is accepted.
	// A field that the integration's template sets takes precedence, also over one
	// whose name differs only in case: some readers do not distinguish them.
	Pass map[string]json.RawMessage `json:"pass,omitempty"`
	// Decider and Version identify the decider. They are for records and logs.
	Decider string `json:"decider,omitempty"`
	Version string `json:"version,omitempty"`
}

// Limits of a decider's reply. An acceptance that exceeds them is a bad reply.
const (
	// MaxDecisionSize is the maximum size of a reply, in bytes.
	MaxDecisionSize = 16 << 10
	// maxDecisionText is the maximum size of each text, in bytes.
	maxDecisionText = 8 << 10
	// maxPassDepth is how deep a value of Pass may be nested, maxPassFields how
	// many fields an object of it may have, and maxPassName the bytes of a name.
	maxPassDepth  = 8
	maxPassFields = 64
	maxPassName   = 128
)

// ErrInvalidDecision is wrapped by every error of [ParseDecision].
var ErrInvalidDecision = errors.New("invalid decision")

// ParseDecision reads a decider's reply. An acceptance must be valid in every respect.
// A reply with a readable rejection is a rejection, even when other parts of it are
// invalid; these are left out, such as a text of the wrong type.
//
// Texts are returned as by [CleanText], and empty when they are blank. So are the
// texts in Pass, whose names are unique without regard to case.
//
// Every error wraps [ErrInvalidDecision], says what is wrong and quotes nothing of the
// reply, which may contain personal data.
func ParseDecision(data []byte) (Decision, error) {
	if d, ok := readPlainReply(data); ok {
		return d, nil
	}
	r := readReply(data)
	switch {
	case r.rejects:
		r.decision.Verdict = Reject
		return r.decision, nil
	case r.err == nil && r.verdicts == 0:
		r.err = errors.New(`the field "decision" is missing`)
	}
	if r.err != nil {
		return Decision{}, fmt.Errorf("%w: %w", ErrInvalidDecision, r.err)
	}
	r.decision.Verdict = Accept
	return r.decision, nil
}

// readPlainReply reads what most replies are: an object of known fields with texts of
// printable ASCII, without an escape and without white space between them but a blank.
// Of any other reply it reports false, and readReply reads it; of this one readReply
// would return the same, in ten times the time.
func readPlainReply(data []byte) (d Decision, ok bool) {
	if len(data) > maxDecisionText {
		return Decision{}, false
	}
	for _, b := range data {
		if b < ' ' || b > '~' || b == '\\' {
			return Decision{}, false
		}
	}
	// `{`, then for each field: name, `:`, text, and `,` or `}`
	pieces := strings.Split(string(data), `"`)
	before := "{"
	for ; len(pieces) > 4; pieces = pieces[4:] {
		if strings.Trim(pieces[0], " ") != before || strings.Trim(pieces[2], " ") != ":" || !d.setPlain(pieces[1], pieces[3]) {
			return Decision{}, false
		}
		before = ","
	}
	ok = len(pieces) == 1 && strings.Trim(pieces[0], " ") == "}" && d.Verdict != ""
	return d, ok
}

// setPlain sets a field that is not set yet.
func (d *Decision) setPlain(name, text string) bool {
	var field *string
	switch name {
	case "decision":
		if text != string(Accept) && text != string(Reject) {
			return false
		}
		field = (*string)(&d.Verdict)
	case "visitorText":
		field = &d.VisitorText
	case "adminNote":
		field = &d.AdminNote
	case "decider":
		field = &d.Decider
	case "version":
		field = &d.Version
	}
	if field == nil || *field != "" || strings.Trim(text, " ") == "" {
		return false
	}
	*field = text
	return true
}
