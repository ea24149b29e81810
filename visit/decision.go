package visit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Verdict is what a decider decides. Its values are part of the wire format.
type Verdict string

const (
	Accept Verdict = "accept"
	Reject Verdict = "reject"
)

// Decision is a decider's reply to a [Request].
type Decision struct {
	// Verdict is mandatory. A reply without it is a bad reply and not a
	// rejection, so that no other message can be taken for an answer.
	Verdict Verdict `json:"decision"`
	// VisitorText is for the visitor to read. A rejection should have one;
	// the integration's own text stands in for a missing one.
	VisitorText string `json:"visitorText,omitempty"`
	// AdminNote is for the site's administrators.
	AdminNote string `json:"adminNote,omitempty"`
	// Pass holds further fields for the answer to Sine when the visitor is
	// accepted. A field that the integration's template sets wins.
	Pass map[string]json.RawMessage `json:"pass,omitempty"`
	// Decider and Version name who decided.
	Decider string `json:"decider,omitempty"`
	Version string `json:"version,omitempty"`
}

// MaxDecisionSize is the largest reply, in bytes, that the relay reads.
const MaxDecisionSize = 64 << 10

// ErrNotADecision is wrapped by every error of [ParseDecision].
var ErrNotADecision = errors.New("not a decision")

// ParseDecision reads a decider's reply. Its errors name the fault and quote
// nothing of the reply, which may hold personal data.
func ParseDecision(data []byte) (Decision, error) {
	if len(data) > MaxDecisionSize {
		return Decision{}, fmt.Errorf("%w: %d bytes, at most %d are read", ErrNotADecision, len(data), MaxDecisionSize)
	}
	var d Decision
	if err := json.Unmarshal(data, &d); err != nil {
		return Decision{}, fmt.Errorf("%w: %s", ErrNotADecision, jsonFault(err))
	}
	switch d.Verdict {
	case Accept, Reject:
		// Which of two a reader takes is chance, and one of them may be a
		// rejection.
		if verdicts(data) > 1 {
			return Decision{}, fmt.Errorf("%w: the field \"decision\" is there more than once", ErrNotADecision)
		}
		return d, nil
	case "":
		return Decision{}, fmt.Errorf("%w: the field \"decision\" is missing", ErrNotADecision)
	default:
		return Decision{}, fmt.Errorf("%w: the field \"decision\" is neither %q nor %q", ErrNotADecision, Accept, Reject)
	}
}

// verdicts counts the fields of a valid object that encoding/json takes for the
// decision: it does not mind the case.
func verdicts(data []byte) (n int) {
	object := json.NewDecoder(bytes.NewReader(data))
	object.Token() // {
	for object.More() {
		key, _ := object.Token()
		if name, ok := key.(string); ok && strings.EqualFold(name, "decision") {
			n++
		}
		var value json.RawMessage
		if object.Decode(&value) != nil {
			return n
		}
	}
	return n
}

// jsonFault says what is wrong without the offending value.
func jsonFault(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return fmt.Sprintf("the field %q has the wrong JSON type", knownField(wrongType.Field))
	}
	return "not a JSON object"
}

// knownField keeps a key of somebody's making out of an error: map keys below
// "pass" are the decider's.
func knownField(path string) string {
	switch path {
	case "decision", "visitorText", "adminNote", "decider", "version":
		return path
	}
	return "pass"
}
