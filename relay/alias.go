package relay

import (
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// aliases are the event names seen or expected on the wire, normalised. An
// integration may add its own.
var aliases = map[string]visit.Kind{
	"signinbefore":    visit.CheckInRequest,
	"checkinrequest":  visit.CheckInRequest,
	"signinafter":     visit.CheckedIn,
	"checkinsuccess":  visit.CheckedIn,
	"signoutafter":    visit.CheckedOut,
	"checkoutsuccess": visit.CheckedOut,
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

// normalise makes spellings of one name equal.
func normalise(name string) string { return separators.Replace(strings.ToLower(name)) }

// kindOf returns the kind that the body's event name stands for, or "".
func (i *Integration) kindOf(event string) visit.Kind {
	if event == "" {
		return ""
	}
	name := normalise(event)
	if kind, ok := i.Events[name]; ok {
		return kind
	}
	return aliases[name]
}
