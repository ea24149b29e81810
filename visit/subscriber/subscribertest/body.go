package subscribertest

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// words are those of Sine for the kinds of webhooks.
var words = map[visit.Kind]string{
	visit.KindCheckInRequest: "signin_before",
	visit.KindCheckedIn:      "signin_after",
	visit.KindCheckedOut:     "signout_after",
}

// statuses are words for why a pass ended.
var statuses = map[visit.Cause]string{
	visit.CauseCheckedOut: "Checked Out",
	visit.CauseExpired:    "Expired",
	visit.CauseLeftArea:   "Left Area",
}

// Body is the body of the webhook that Sine sends of a kind, with each field at a place that
// a relay knows without configuration.
func (v Visit) Body(k visit.Kind) []byte {
	at, id, status := v.Time, v.ID, ""
	switch k {
	case visit.KindCheckInRequest:
		id = ""
	case visit.KindCheckedOut:
		at, status = v.Time.Add(stay), statuses[v.Cause]
	}
	var b body
	b.open()
	b.text("event", words[k])
	b.text("date", v.date(at))
	b.text("externalId", v.ExternalID)
	b.name("data")
	b.open()
	b.text("visitId", id)
	b.person(v.Person)
	b.text("company", v.Company)
	b.text("passType", v.VisitorType)
	b.host(v.Host)
	b.answers(v.FormAnswers)
	b.text("status", status)
	for i := 0; i+1 < len(v.Extra); i += 2 {
		b.name(v.Extra[i])
		b.WriteString(v.Extra[i+1])
	}
	b.close()
	b.close()
	return b.Bytes()
}

// date is the time as Sine writes it, or empty.
func (v Visit) date(at time.Time) string {
	switch v.TimeBasis {
	case visit.TimeReceived:
		return ""
	case visit.TimeInAssumedZone:
		return at.In(v.zone()).Format(time.DateTime)
	default:
		return at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
}

// body is JSON in the making. It is not made by a struct's tags, so that Extra is there byte
// for byte.
type body struct{ bytes.Buffer }

func (b *body) open() { b.WriteByte('{') }

func (b *body) close() { b.WriteByte('}') }

func (b *body) name(name string) {
	if last := b.Bytes()[b.Len()-1]; last != '{' {
		b.WriteByte(',')
	}
	b.value(name)
	b.WriteByte(':')
}

// text writes a text unless it is empty: Sine leaves out what its site does not collect.
func (b *body) text(name, value string) {
	if value != "" {
		b.name(name)
		b.value(value)
	}
}

func (b *body) value(v any) {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts can be encoded
	}
	b.Write(encoded)
}

func (b *body) person(p visit.Person) {
	b.text("visitorId", p.ID)
	b.text("firstName", p.FirstName)
	b.text("lastName", p.LastName)
	b.text("email", p.Email)
	b.text("mobile", p.Mobile)
	b.text("photoURL", p.PhotoURL)
}

func (b *body) host(h *visit.Host) {
	if h == nil {
		return
	}
	b.name("host")
	b.open()
	b.text("firstName", h.FirstName)
	b.text("lastName", h.LastName)
	b.text("hostGroupName", h.Group)
	b.close()
}

func (b *body) answers(all []visit.FormAnswer) {
	if len(all) > 0 {
		b.name("formResponses")
		b.value(map[string]any{"responses": all})
	}
}
