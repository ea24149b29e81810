// Package fields finds in the JSON that Sine sends what a [visit.Pass], an event and a
// check-in request are made of. Sine documents the outline of its bodies and not the
// names in them, so the places of every field are configuration; the built-in ones are
// tried after those.
//
// A [Spec] is what is configured, [Compile] checks it once, and [Fields.Read] reads a
// body in one pass: a value of another type than expected counts as absent, numbers are
// never rounded, and the time grows in proportion to the body. [Fields.Explain] reads
// the same way and says where each field was found.
//
// The package is pure: no HTTP, no NATS, no clock. No error or problem quotes a value of
// a body.
package fields

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Field is something that is looked for in a body: a field of a [visit.Event] or of a
// [visit.CheckInRequest] by its path in their JSON, or what such a field is derived
// from.
type Field string

const (
	// Event is the name of the event, which says what kind of webhook it is.
	Event Field = "event"
	// Date is when it happened, in one of the formats of [Dates].
	Date Field = "date"
	// Wrapper is the object in which all other places begin, where there is one.
	Wrapper Field = "wrapper"
	// Visit is Sine's id of the visit or the pass. It becomes [visit.VisitKey].
	Visit Field = "visit"
	// PersonID is Sine's id of the visitor. It is never taken for a visit's.
	PersonID  Field = "person.id"
	FirstName Field = "person.firstName"
	LastName  Field = "person.lastName"
	// PersonName is the whole name in one text. It becomes the last name where there
	// is neither a first nor a last name: nobody can divide a name surely, and machine
	// readable passports have such a name in the field of the last name, too.
	PersonName    Field = "person.name"
	Email         Field = "person.email"
	Mobile        Field = "person.mobile"
	PhotoURL      Field = "person.photoUrl"
	Company       Field = "company"
	VisitorType   Field = "visitorType"
	HostFirstName Field = "host.firstName"
	HostLastName  Field = "host.lastName"
	// HostName is to the host what [PersonName] is to the visitor.
	HostName  Field = "host.name"
	HostGroup Field = "host.group"
	// Answers are the answers of a form: a list of objects, a list of pairs, or an
	// object that has the answers by their questions.
	Answers Field = "answers"
	// Cause is why a pass ended; see [Spec.Causes].
	Cause Field = "cause"
	// ExternalID is what somebody entered as the external id of the integration.
	ExternalID Field = "externalId"
)

// All are all fields.
var All = []Field{
	Event, Date, Wrapper, Visit, PersonID, FirstName, LastName, PersonName, Email, Mobile, PhotoURL, Company, VisitorType,
	HostFirstName, HostLastName, HostName, HostGroup, Answers, Cause, ExternalID,
}

// The fields by number.
const (
	event = iota
	date
	wrapper
	visitID
	personID
	firstName
	lastName
	personName
	email
	mobile
	photoURL
	company
	visitorType
	hostFirstName
	hostLastName
	hostName
	hostGroup
	answers
	cause
	externalID
	fieldCount
)

func numberOf(f Field) int { return slices.Index(All, f) }

// ofPass reports whether a field found at a configured place shows that the body is a
// pass, whatever surrounds it.
func ofPass(field int) bool { return field >= visitID && field <= answers }

// Spec is what is configured of the places of fields. The zero value has the built-in
// places alone.
type Spec struct {
	// Places are those of each field, in the order in which they are tried.
	//
	// A place is a JSON pointer (RFC 6901) such as /data/visitor/first_name. Keys are
	// compared as event names are: without regard to case, and to the separators
	// "_", "-", "." and space. A number is a key or an element of a list, "*" stands
	// for the first element or value that has the field, and, in a list, name=Company
	// for the element that has the text Company at name. Where a pointer leads through
	// a text that is JSON, it goes on in there.
	//
	// Or it is a template that joins several places, such as
	// {/data/first} {/data/last}; it counts where each of them has a value.
	//
	// Where [Visit] has a list, be it empty, its built-in places are not used.
	Places map[Field][]string
	// Labels and Values are the keys of question and answer in a form's answers, or
	// pointers from there, before the built-in ones.
	Labels, Values []string
	// DateFormats are those of [Date], before the ones that are recognised without;
	// see [ParseFormat].
	DateFormats []string
	// DateZone is the zone of dates without one; nil is the site's.
	DateZone *time.Location
	// Causes are further words for why a pass ended, compared as keys are.
	Causes map[string]visit.Cause
}

// Over returns the spec with what base says where it says nothing: each list, and each
// word for a cause, on its own.
func (s Spec) Over(base Spec) Spec {
	if s.IsZero() {
		return base
	}
	merged := Spec{
		Places: map[Field][]string{}, Labels: listOr(s.Labels, base.Labels), Values: listOr(s.Values, base.Values),
		DateFormats: listOr(s.DateFormats, base.DateFormats), DateZone: s.DateZone, Causes: map[string]visit.Cause{},
	}
	if s.DateZone == nil {
		merged.DateZone = base.DateZone
	}
	for _, from := range []Spec{base, s} {
		for field, places := range from.Places {
			if places != nil {
				merged.Places[field] = places
			}
		}
		for word, cause := range from.Causes {
			merged.Causes[Spelling(word)] = cause
		}
	}
	return merged
}

// IsZero reports whether nothing is configured. An empty list is something: it undoes that
// of the base in [Spec.Over].
func (s Spec) IsZero() bool {
	return len(s.Places)+len(s.Causes) == 0 && s.Labels == nil && s.Values == nil && s.DateFormats == nil && s.DateZone == nil
}

func listOr(own, inherited []string) []string {
	if own == nil {
		return inherited
	}
	return own
}

// Fields are compiled places. They are safe for concurrent use.
type Fields struct {
	root       *node
	answer     *node // of an element of a form's answers
	configured [fieldCount][]string
	counts     [fieldCount]uint8 // of configured
	templates  []template
	parts      int // slots of templates
	stars      int // of "*" in the places
	causes     map[string]visit.Cause
	dates      dates
	spec       Spec
	// bareID is the number of the place of an id that does not say whose it is, or 0.
	bareID uint8
}

// Spec is what was compiled.
func (f *Fields) Spec() Spec { return f.spec }

// Default has the built-in places alone.
var Default = func() *Fields {
	f, problems := Compile(Spec{})
	if len(problems) > 0 {
		panic("a built-in place is invalid: " + problems[0].String())
	}
	return f
}()

// Problem is one thing that is wrong in a [Spec].
type Problem struct {
	// Path leads to it, such as fields.company[1], labels.value[0], dates.formats[0]
	// or causeAliases.gone: Places are called fields, and Labels and Values are
	// labels.label and labels.value.
	Path string
	// What is wrong, and what would be right.
	What string
}

func (p Problem) String() string { return p.Path + ": " + p.What }
