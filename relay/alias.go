package relay

import (
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// aliases are the event names seen or expected on the wire, as Spelling has them. An
// integration may add its own.
var aliases = map[string]visit.Kind{
	"signinbefore":    visit.KindCheckInRequest,
	"checkinrequest":  visit.KindCheckInRequest,
	"signinafter":     visit.KindCheckedIn,
	"checkinsuccess":  visit.KindCheckedIn,
	"signoutafter":    visit.KindCheckedOut,
	"checkoutsuccess": visit.KindCheckedOut,
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

// Spelling makes spellings of one name equal, such as "signin_after" and
// "SignIn-After".
func Spelling(name string) string { return separators.Replace(strings.ToLower(name)) }

// kindOf returns the kind that the body's event name stands for, or "".
func (i *Integration) kindOf(event string) visit.Kind {
	if event == "" {
		return ""
	}
	name := Spelling(event)
	if kind, ok := i.Events[name]; ok {
		return kind
	}
	return aliases[name]
}
