package fields

import (
	"fmt"
	"strings"
)

// meanings say what each field is.
var meanings = map[Field]string{
	Event:         "the name of the event; which kind of webhook that is, `kindAliases` may say",
	Date:          "when it happened",
	Wrapper:       "the object in which all other places begin, where there is one",
	Visit:         "Sine's id of the visit or the pass; where it has a list, be it empty, no built-in place is used",
	PersonID:      "Sine's id of the visitor, never taken for a visit's",
	FirstName:     "first name of the visitor",
	LastName:      "last name of the visitor",
	PersonName:    "whole name of the visitor; it becomes `person.lastName` where neither name is found",
	Email:         "e-mail address of the visitor",
	Mobile:        "telephone number of the visitor",
	PhotoURL:      "address of the visitor's photo",
	Company:       "company of the visitor",
	VisitorType:   "type of the visitor",
	HostFirstName: "first name of the person who is visited",
	HostLastName:  "last name of that person",
	HostName:      "whole name of that person; it becomes `host.lastName` where neither name is found",
	HostGroup:     "group of that person",
	Answers:       "answers of forms: a list of objects, a list of pairs, or an object with the answers by their questions",
	Cause:         "why a pass ended: `checked_out`, `expired` or `left_area`, which `causeAliases` may say of further words",
	ExternalID:    "what was entered into Sine as the external id",
}

// Docs is the table of fields and their built-in places, in Markdown.
func Docs() string {
	var b strings.Builder
	b.WriteString("| Field | Meaning | Built-in places |\n|---|---|---|\n")
	for field, name := range All {
		places := make([]string, len(builtin[field]))
		for i, place := range builtin[field] {
			places[i] = "`" + place + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, meanings[name], strings.Join(places, " "))
	}
	return b.String()
}
