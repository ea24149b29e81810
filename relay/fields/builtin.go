package fields

import (
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// Built-in places. The first of each field is where Sine's documents and the one
// receiver that was published have it; the others are what comparable products call it.
//
// They are few on purpose: a wrong value may let somebody in of whom the right one would
// have spoken. So nothing outside of "data" is guessed, nor "organisation" beside the
// visitor's own fields, where the name of the customer itself often is, nor "name". A
// company that is an object beside them comes last, since it may be the customer as well.
var builtin = func() (all [fieldCount][]string) {
	for field, text := range builtinPlaces {
		for place := range strings.FieldsSeq(text) {
			if rest, ok := strings.CutPrefix(place, "/VISITOR/"); ok {
				for _, visitor := range visitors {
					if visitor == "person" && rest != "id" {
						continue
					}
					all[numberOf(field)] = append(all[numberOf(field)], "/data/"+visitor+"/"+rest)
				}
				continue
			}
			all[numberOf(field)] = append(all[numberOf(field)], place)
		}
	}
	return all
}()

// visitors are the objects in which products put what is the visitor's own; /VISITOR/ stands
// for them. "person" may be the host just as well: nothing but an id is read in there, since
// it is the visit's in neither case.
var visitors = []string{"visitor", "guest", "person"}

var builtinPlaces = map[Field]string{
	Event:   "/event /eventType /eventName",
	Date:    "/date /timestamp /eventDate /eventTime /occurredAt",
	Wrapper: "/payload /body",
	Visit: "/data/visitId /data/passId /data/pass/id /data/visit/id /data/signInId /data/checkInId " +
		"/data/id /visitId /passId",
	PersonID:  "/VISITOR/id /data/visitorId /data/guestId /data/personId",
	FirstName: "/data/firstName /data/givenName /data/forename /VISITOR/firstName /VISITOR/givenName /VISITOR/forename",
	LastName: "/data/lastName /data/familyName /data/surname /VISITOR/lastName /VISITOR/familyName " +
		"/VISITOR/surname",
	PersonName: "/data/fullName /data/visitorName /data/guestName /VISITOR/fullName /VISITOR/name",
	Email:      "/data/email /data/emailAddress /VISITOR/email /VISITOR/emailAddress",
	Mobile: "/data/mobile /data/mobileNumber /data/mobilePhone /data/phone /data/phoneNumber /VISITOR/mobile " +
		"/VISITOR/mobileNumber /VISITOR/mobilePhone /VISITOR/phone /VISITOR/phoneNumber",
	PhotoURL: "/data/photoURL /data/photo /data/pictureUrl /data/imageUrl /VISITOR/photoURL /VISITOR/photo " +
		"/VISITOR/pictureUrl /VISITOR/imageUrl",
	Company: "/data/company /data/companyName /data/visitorCompany /VISITOR/company /VISITOR/companyName " +
		"/VISITOR/company/name /VISITOR/organisation /VISITOR/organization /VISITOR/organisationName " +
		"/VISITOR/organizationName /VISITOR/employer /data/company/name",
	VisitorType: "/data/passType /data/visitorType /data/visitType /data/visitorType/name /data/visitType/name " +
		"/VISITOR/type /VISITOR/visitorType",
	HostFirstName: "/data/host/firstName /data/host/givenName /data/hostFirstName",
	HostLastName:  "/data/host/lastName /data/host/familyName /data/host/surname /data/hostLastName",
	HostName:      "/data/host/name /data/host/fullName /data/hostName /data/host",
	HostGroup:     "/data/host/hostGroupName /data/host/groupName /data/host/group /data/host/department /data/hostGroupName",
	Answers:       "/data/formResponses/responses /data/responses /data/answers",
	Cause:         "/data/status /data/checkOutReason /data/signOutReason",
	ExternalID:    "/externalId /data/externalId",
}

// bareID is a built-in place of the visit's id that does not say whose id it is. Where the
// person has the same id, it is the person's.
const bareID = "/data/id"

// Built-in keys of an answer in a form.
var (
	builtinLabels = []string{"label", "question", "title", "name"}
	builtinValues = []string{"value", "answer", "response"}
)

// builtinCauses are words for why a pass ended. One that contains "expired" or
// "geofence" needs no entry.
var builtinCauses = map[string]visit.Cause{
	"checkedout": visit.CauseCheckedOut, "signedout": visit.CauseCheckedOut,
	"leftarea": visit.CauseLeftArea, "exitedarea": visit.CauseLeftArea, "leftsite": visit.CauseLeftArea,
}

// causeOf reads why a pass ended.
func (f *Fields) causeOf(word string) visit.Cause {
	s := Spelling(word)
	if cause, ok := f.causes[s]; ok {
		return cause
	}
	switch cause := builtinCauses[s]; {
	case cause != "":
		return cause
	case strings.Contains(s, "expired"):
		return visit.CauseExpired
	case strings.Contains(s, "geofence"):
		return visit.CauseLeftArea
	default:
		return visit.CauseUnknown
	}
}
