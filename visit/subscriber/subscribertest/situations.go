package subscribertest

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Visitor is a visit of a contractor with all that Sine may send. It is in the morning of a
// Thursday at the site, when it is still Wednesday in UTC.
func Visitor() Visit {
	return Visit{
		Pass: visit.Pass{
			Person: visit.Person{
				ID: "4711", FirstName: "Marguerite", LastName: "Oyelaran", Email: "marguerite@example.com",
				Mobile: "+61 491 570 156", PhotoURL: "https://images.example.com/4711.jpg",
			},
			Company:     "Bexley Rigging",
			Host:        &visit.Host{FirstName: "Dominic", LastName: "Faleolo", Group: "Maintenance Planning"},
			VisitorType: "Contractor",
			FormAnswers: []visit.FormAnswer{{Label: "Inducted?", Value: "Yes"}, {Label: "White card number", Value: "AB12345"}},
		},
		ID:   "0f8b6f0e-44c8",
		Time: time.Date(2026, 11, 18, 21, 42, 7, 0, time.UTC), TimeBasis: visit.TimeFromSine,
		Site: Site, Integration: Integration, TimeZone: TimeZone,
		Cause: visit.CauseCheckedOut,
	}
}

// change is Visitor with a change.
func change(f func(v *Visit)) Visit {
	v := Visitor()
	f(&v)
	return v
}

// NoCompany is somebody whose company is not known: Sine did not ask, or the relay did not
// find it. A decider that goes by companies must not take that for harmless.
func NoCompany() Visit { return change(func(v *Visit) { v.Company = "" }) }

// NoName is somebody of whom no name was found. A relay asks deciders about such a visitor
// only where they expect no name; events are stored all the same.
func NoName() Visit {
	return change(func(v *Visit) { v.Person.FirstName, v.Person.LastName = "", "" })
}

// WholeName is somebody whose whole name Sine sends in one text: it is the last name.
func WholeName() Visit {
	return change(func(v *Visit) { v.Person.FirstName, v.Person.LastName = "", "Marguerite Oyelaran" })
}

// NoID is a visit that Sine does not name: a check-out cannot be joined to its check-in.
func NoID() Visit { return change(func(v *Visit) { v.ID = "" }) }

// StrangeID is a visit with an id that is no valid token anywhere. The key is its digest.
func StrangeID() Visit { return change(func(v *Visit) { v.ID = "4711/2026 > *" }) }

// Expired is a visit whose pass runs out: the visitor may still be inside.
func Expired() Visit {
	return change(func(v *Visit) { v.ID, v.Cause = "0f8b6f0e-44c9", visit.CauseExpired })
}

// Geofence is a visit by Sine's app, which checks people in and out as they come and go:
// there is no host, no form and no photo.
func Geofence() Visit {
	return change(func(v *Visit) {
		v.Cause, v.Host, v.FormAnswers, v.Person.PhotoURL = visit.CauseLeftArea, nil, nil, ""
	})
}

// UnknownCause is a visit of which Sine does not say how it ended.
func UnknownCause() Visit {
	return change(func(v *Visit) { v.ID, v.Cause = "0f8b6f0e-44ca", visit.CauseUnknown })
}

// Umlauts is somebody whose texts are not ASCII, one of them with a combining accent.
func Umlauts() Visit {
	return change(func(v *Visit) {
		v.Person.FirstName, v.Person.LastName = "Jürgen", "Groß-Weiß"
		v.Company = "Böhm & Söhne <Aufzüge>"
		v.FormAnswers = []visit.FormAnswer{{Label: "Straße?", Value: "Zoe\u0308-Platz 5 🛗"}}
	})
}

// RightToLeft is somebody whose name is written from right to left.
func RightToLeft() Visit {
	return change(func(v *Visit) {
		v.Person.FirstName, v.Person.LastName = "مريم", "الفاسي"
		v.Company = "בניין ושות׳"
	})
}

// LargeAnswers is somebody with a long form: 60 answers of 1,500 characters, among them two
// with the same question and one that is blank.
func LargeAnswers() Visit {
	return change(func(v *Visit) {
		v.FormAnswers = []visit.FormAnswer{{Label: "Notes", Value: ""}, {Label: "Notes", Value: "none"}}
		for i := range 58 {
			v.FormAnswers = append(v.FormAnswers, visit.FormAnswer{Label: fmt.Sprintf("Question %d", i+1), Value: strings.Repeat("words ", 250)})
		}
	})
}

// LargeNumbers is a visit with numbers in Source that a float64 does not hold: decode them
// as json.Number.
func LargeNumbers() Visit {
	return change(func(v *Visit) {
		v.Extra = []string{"badge", "9007199254740993", "card", "184467440737095516159", "weight", "82.40", "list", "[1, 2]"}
	})
}

// LocalDate is a visit that Sine dates without a zone: the relay takes that for the site's.
func LocalDate() Visit { return change(func(v *Visit) { v.TimeBasis = visit.TimeInAssumedZone }) }

// NoDate is a visit that Sine does not date. Its times are those of the receipt, and each of
// its events has a random id: a repeated call of Sine is another event.
func NoDate() Visit { return change(func(v *Visit) { v.TimeBasis = visit.TimeReceived }) }

// Group is several people who arrive together: they share the host, the second, and the id
// of the visit.
func Group() []Visit {
	var all []Visit
	for _, name := range []string{"Ines", "Tobias", "Wanda"} {
		all = append(all, change(func(v *Visit) { v.Person = visit.Person{FirstName: name, LastName: "Ferreira"} }))
	}
	return all
}

// Visits are all of these, each with a name. A decider must decide about every one of them,
// and a consumer handle their events.
func Visits() iter.Seq2[string, Visit] {
	return func(yield func(string, Visit) bool) {
		for _, one := range []struct {
			name  string
			visit Visit
		}{
			{"visitor", Visitor()}, {"no company", NoCompany()}, {"no name", NoName()}, {"whole name", WholeName()},
			{"no id", NoID()}, {"strange id", StrangeID()}, {"expired", Expired()}, {"geofence", Geofence()},
			{"unknown cause", UnknownCause()}, {"umlauts", Umlauts()}, {"right to left", RightToLeft()},
			{"large answers", LargeAnswers()}, {"large numbers", LargeNumbers()}, {"local date", LocalDate()},
			{"no date", NoDate()}, {"first of a group", Group()[0]}, {"second of a group", Group()[1]}, {"third of a group", Group()[2]},
		} {
			if !yield(one.name, one.visit) {
				return
			}
		}
	}
}
