package relay

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sine-relay/sine-relay/visit"
)

// delivery is the object that Sine sends. Sine documents its outline and not
// its types, so a field of another type than expected counts as absent: it is
// still in the source.
type delivery struct {
	isEvent bool // it looks like what Sine sends at all
	hasPass bool

	event string
	date  string
	pass  visit.Pass
	// unreadAnswers is set when there are answers that pass does not hold.
	unreadAnswers bool
	status        string
	ids           [idCount]string
	wrapped       []jsontext.Value // values that may hold the same object once more

	maxDepth int
}

// Where Sine's own id of the visit or the pass may be, the best first. A bare
// "id" beside the event could be the event's or the integration's, and is not
// used.
const (
	idVisit      = iota // data.visitId
	idPass              // data.passId
	idNested            // data.pass.id
	idBare              // data.id
	idOuterVisit        // visitId
	idOuterPass         // passId
	idCount
)

// decode reads a body, or says why it cannot be read.
func decode(body []byte, maxDepth int) (delivery, visit.Reason) {
	// A text may end in half a surrogate pair, cut off by a form's limit:
	// that is JSON, though no UTF-8 can say it. The bytes must be UTF-8.
	if !utf8.Valid(body) || isWide(body) {
		return delivery{}, visit.ReasonNotUTF8
	}
	if tooDeep(body, maxDepth) {
		return delivery{}, visit.ReasonTooDeep
	}
	if inner := object(body, maxDepth); inner != nil {
		body = inner
	}
	d, err := readDelivery(body, maxDepth)
	if err != nil {
		return delivery{}, visit.ReasonNotJSON
	}
	for _, wrapped := range d.wrapped {
		if inner, err := readDelivery(wrapped, maxDepth); !d.hasPass && err == nil && inner.isEvent {
			return inner, ""
		}
	}
	return d, ""
}

// isWide reports whether the first characters take more than a byte each, as those
// of JSON in UTF-16 and UTF-32 do.
func isWide(body []byte) bool { return bytes.IndexByte(body[:min(4, len(body))], 0) >= 0 }

// tooDeep reports whether brackets are nested deeper than max, without parsing:
// it runs before the parser does.
func tooDeep(body []byte, max int) bool {
	depth, inText := 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case inText && b == '\\':
			i++
		case b == '"':
			inText = !inText
		case inText:
		case b == '{' || b == '[':
			if depth++; depth > max {
				return true
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return false
}

// passID is Sine's own id of the visit or the pass, or empty.
func (d *delivery) passID() string {
	for _, id := range d.ids {
		if id != "" {
			return id
		}
	}
	return ""
}

// cause reads why a pass ended from its status, where Sine sends one.
func (d *delivery) cause() visit.Cause {
	switch s := Spelling(d.status); {
	case strings.Contains(s, "expired"):
		return visit.CauseExpired
	case s == "checkedout" || s == "signedout":
		return visit.CauseCheckedOut
	default:
		return visit.CauseUnknown
	}
}
