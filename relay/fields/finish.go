package fields

import (
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// settle joins the templates, and leaves out what may be wrong.
func (r *reading) settle() {
	for i := range r.f.templates {
		r.join(&r.f.templates[i])
	}
	r.leaveOutUnsure()
}

// finish joins what belongs together.
func (r *reading) finish() {
	r.limitAnswers()
	p := &r.Pass
	if r.places[personName] > 0 && r.places[firstName] == 0 && r.places[lastName] == 0 {
		p.Person.LastName, r.places[lastName] = r.personName, ofWholeName
	}
	if r.places[hostName] > 0 && r.places[hostFirstName] == 0 && r.places[hostLastName] == 0 {
		r.host.LastName, r.places[hostLastName] = r.hostName, ofWholeName
	}
	if r.hasHost || r.host != (visit.Host{}) {
		p.Host = &visit.Host{FirstName: r.host.FirstName, LastName: r.host.LastName, Group: r.host.Group}
	}
	// Where there are several ids of the person, any of them may be the visit's as well.
	ofPerson := r.VisitID == p.Person.ID || r.unsure&(1<<personID) != 0
	if r.VisitID != "" && ofPerson && (r.f.counts[personID] > 0 || r.places[visitID] == r.f.bareID) {
		r.VisitID, r.places[visitID], r.sameAsPerson = "", 0, true // whichever place it comes from, it is the person's
	}
	r.Cause = visit.CauseUnknown
	if r.word != "" {
		r.Cause = r.f.causeOf(r.word)
	}
}

// join takes the value of a template where each part has one.
func (r *reading) join(t *template) {
	if have := r.places[t.field]; have != 0 && int(have) <= t.place {
		return
	}
	var b strings.Builder
	for i, part := range t.parts {
		if r.parts[part].text == "" || r.parts[part].unsure {
			return
		}
		b.WriteString(t.texts[i])
		b.WriteString(r.parts[part].text)
	}
	b.WriteString(t.texts[len(t.texts)-1])
	*r.text(t.field) = b.String()
	r.note(t.field, uint8(t.place))
	r.unsure &^= 1 << t.field
	if r.trace != nil {
		r.trace.joined(t.field, t.parts)
	}
}
