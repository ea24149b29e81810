package visit

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Verdict is what a decider decides. Its values are part of the wire format.
type Verdict string

const (
	Accept Verdict = "accept"
	Reject Verdict = "reject"
)

// Decision is a decider's reply to a [CheckInRequest].
type Decision struct {
	// Verdict is mandatory. A reply without it is a bad reply and not a
	// rejection, so that no other message can be taken for an answer.
	Verdict Verdict `json:"decision"`
	// VisitorText is for the visitor to read. A rejection should have one;
	// the integration's own text stands in for a missing or blank one.
	VisitorText string `json:"visitorText,omitempty"`
	// AdminNote is for the site's administrators.
	AdminNote string `json:"adminNote,omitempty"`
	// Pass holds further fields for the answer to Sine when the visitor is
	// accepted. A field that the integration's template sets wins, also over
	// one whose name differs in case only: readers may not tell them apart.
	Pass map[string]json.RawMessage `json:"pass,omitempty"`
	// Decider and Version name who decided.
	Decider string `json:"decider,omitempty"`
	Version string `json:"version,omitempty"`
}

// Limits of a decider's reply. An acceptance beyond them is a bad reply.
const (
	// MaxDecisionSize is the size of a whole reply, in bytes.
	MaxDecisionSize = 16 << 10
	// maxDecisionText is that of each text.
	maxDecisionText = 8 << 10
	// maxPassDepth is how deep a value of Pass may be nested, maxPassFields how
	// many fields an object of it may have, and maxPassName the bytes of a name.
	maxPassDepth  = 8
	maxPassFields = 64
	maxPassName   = 128
)

// ErrInvalidDecision is wrapped by every error of [ParseDecision].
var ErrInvalidDecision = errors.New("not a decision")

// ParseDecision reads a decider's reply. Only an acceptance needs everything
// right. A reply in which a rejection can be read is a rejection, whatever is wrong
// beside it: without what cannot be used, such as a text of the wrong type.
//
// Texts come out as [CleanText] leaves them, and empty where they are blank; values
// of Pass likewise, and with every name once, upper and lower case being the same.
//
// Its errors name the fault and quote nothing of the reply, which may hold personal
// data.
func ParseDecision(data []byte) (Decision, error) {
	r := readReply(data)
	switch {
	case r.rejects:
		r.decision.Verdict = Reject
		return r.decision, nil
	case r.fault == nil && r.verdicts == 0:
		r.fault = errors.New(`the field "decision" is missing`)
	}
	if r.fault != nil {
		return Decision{}, fmt.Errorf("%w: %w", ErrInvalidDecision, r.fault)
	}
	r.decision.Verdict = Accept
	return r.decision, nil
}
