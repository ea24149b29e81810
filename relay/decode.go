package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/sine-relay/sine-relay/visit"
)

// delivery is the object that Sine sends. Sine documents its outline and not
// its types, so whatever may be a text or a number is kept raw, and a field of
// another type than expected counts as absent: it is still in the source.
type delivery struct {
	Event   string          `json:"event"`
	Date    json.RawMessage `json:"date"`
	Data    *sinePass       `json:"data"`
	PassID  json.RawMessage `json:"passId"`
	VisitID json.RawMessage `json:"visitId"`

	// An object of the same form, when the whole is wrapped once.
	Payload json.RawMessage `json:"payload"`
	Body    json.RawMessage `json:"body"`
}

type sinePass struct {
	FirstName     string          `json:"firstName"`
	LastName      string          `json:"lastName"`
	Email         json.RawMessage `json:"email"`
	Mobile        json.RawMessage `json:"mobile"`
	Company       string          `json:"company"`
	PhotoURL      string          `json:"photoURL"`
	PassType      string          `json:"passType"`
	Status        string          `json:"status"`
	Host          *sineHost       `json:"host"`
	FormResponses sineForms       `json:"formResponses"`

	ID      json.RawMessage `json:"id"`
	PassID  json.RawMessage `json:"passId"`
	VisitID json.RawMessage `json:"visitId"`
	Pass    struct {
		ID json.RawMessage `json:"id"`
	} `json:"pass"`
}

type sineHost struct {
	FirstName     string `json:"firstName"`
	LastName      string `json:"lastName"`
	HostGroupName string `json:"hostGroupName"`
}

type sineForms struct {
	Responses []struct {
		Label string          `json:"label"`
		Value json.RawMessage `json:"value"`
	} `json:"responses"`
}

// lenient decodes what fits and leaves out what has another type: encoding/json
// goes on after such a mismatch and reports it at the end.
func lenient(b []byte, into any) error {
	err := json.Unmarshal(b, into)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return nil
	}
	return err
}

// decode reads a body, or says why it cannot be read.
func decode(body []byte, maxDepth int) (delivery, visit.Reason) {
	var d delivery
	if !utf8.Valid(body) {
		return d, visit.ReasonNotJSON
	}
	if tooDeep(body, maxDepth) {
		return d, visit.ReasonTooDeep
	}
	if err := lenient(body, &d); err != nil {
		return delivery{}, visit.ReasonNotJSON
	}
	if d.isEvent() {
		return d, ""
	}
	for _, wrapped := range []json.RawMessage{d.Payload, d.Body} {
		var inner delivery
		if bytes.HasPrefix(wrapped, []byte("{")) && lenient(wrapped, &inner) == nil && inner.isEvent() {
			return inner, ""
		}
	}
	return d, ""
}

// isEvent reports whether the object looks like what Sine sends at all.
func (d *delivery) isEvent() bool { return d.Event != "" || d.Data != nil }

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

// text gives a JSON text's content, a number or boolean as it was written, and
// nothing for null, an object or a list.
func text(raw json.RawMessage) string {
	if len(raw) == 0 || bytes.ContainsAny(raw[:1], "{[n") {
		return ""
	}
	return textOrJSON(raw)
}

// textOrJSON gives a JSON text's content, and anything else as it was written.
func textOrJSON(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if raw[0] != '"' {
		return string(raw)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "" // raw was parsed before, so this cannot be
	}
	return s
}

// passID is Sine's own id of the visit or the pass. A bare "id" beside the
// event could be the event's or the integration's, and is not used.
func (d *delivery) passID() string {
	p := d.details()
	for _, raw := range []json.RawMessage{p.VisitID, p.PassID, p.Pass.ID, p.ID, d.VisitID, d.PassID} {
		if id := strings.TrimSpace(text(raw)); id != "" {
			return id
		}
	}
	return ""
}

// cause reads why a pass ended from its status, where Sine sends one.
func (d *delivery) cause() visit.Cause {
	switch s := normalise(d.details().Status); {
	case strings.Contains(s, "expired"):
		return visit.CauseExpired
	case s == "checkedout" || s == "signedout":
		return visit.CauseCheckedOut
	default:
		return visit.CauseUnknown
	}
}

// pass translates to the contract's words.
func (d *delivery) pass() visit.Pass {
	from := d.details()
	p := visit.Pass{
		Person: visit.Person{
			FirstName: from.FirstName, LastName: from.LastName,
			Email: text(from.Email), Mobile: text(from.Mobile),
			PhotoURL: from.PhotoURL,
		},
		Company:     from.Company,
		VisitorType: from.PassType,
	}
	if h := from.Host; h != nil {
		p.Host = &visit.Host{FirstName: h.FirstName, LastName: h.LastName, Group: h.HostGroupName}
	}
	for _, r := range from.FormResponses.Responses {
		p.Answers = append(p.Answers, visit.Answer{Label: r.Label, Value: textOrJSON(r.Value)})
	}
	return p
}

// details is the pass, empty when there is none.
func (d *delivery) details() *sinePass {
	if d.Data == nil {
		return &sinePass{}
	}
	return d.Data
}
