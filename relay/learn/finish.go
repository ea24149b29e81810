package learn

import (
	"fmt"
	"slices"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/shape"
	"github.com/sine-relay/sine-relay/visit"
)

// finish reads everything once more with all that is proposed, and says what is found.
func (l *learner) finish() *Report {
	asks := func(s *sample) bool { return s.kind == visit.KindCheckInRequest || s.kind == "" }
	if len(l.samples) > 0 && !slices.ContainsFunc(l.samples, asks) {
		l.ask("No check-in request is among the bodies: the relay stores none that it understands. Where Sine sends check-in requests, see that they have the same places: have the relay capture their shape, and give its log by --capture.")
	}
	for _, f := range fields.All {
		if l.isWhole(f) {
			continue
		}
		if found := l.conclude(f); found != nil {
			l.report.Fields = append(l.report.Fields, *found)
		}
	}
	l.report.Spec = l.spec
	for f, places := range l.spec.Places {
		if len(places) == 0 {
			delete(l.report.Spec.Places, f)
		}
	}
	return l.report
}

// isWhole reports whether a last name is a whole name everywhere, and is reported as that.
func (l *learner) isWhole(last fields.Field) bool {
	whole := map[fields.Field]fields.Field{fields.LastName: fields.PersonName, fields.HostLastName: fields.HostName}[last]
	if whole == "" || l.having(last) == 0 {
		return false
	}
	return !slices.ContainsFunc(l.samples, func(s *sample) bool {
		found, from := s.found(last), s.found(whole)
		return found != nil && (from == nil || found.Place != from.Place)
	})
}

// missed are fields that a report names where nothing looks like them: without one of
// them, something does not work.
var missed = []fields.Field{fields.Event, fields.Date, fields.Visit, fields.LastName, fields.Company}

func (l *learner) conclude(f fields.Field) *Finding {
	found := l.finding(f)
	var places, texts []string
	in, origin := 0, fields.Missing
	for _, s := range l.samples {
		is := s.found(f)
		if is == nil {
			continue
		}
		in++
		origin = max(origin, is.Origin)
		if !slices.Contains(places, is.Place) {
			places = append(places, is.Place)
		}
		if !s.isForm {
			texts = append(texts, is.Value)
		}
	}
	switch {
	case in > 0 && found.State == Proposed:
		found.In = in
		l.describe(found, texts)
	case in > 0 && found.State == Open: // beside what is found, which the question is about
	case in > 0:
		found.State, found.In, found.Places = Found, in, places
		if found.Basis == "" {
			found.Basis = map[fields.Origin]string{fields.BuiltIn: "built-in place", fields.Configured: "configured"}[origin]
		}
		l.describe(found, texts)
	case found.State == "" && slices.Contains(missed, f):
		found.State, found.Basis = NotFound, "no key is called so, and no value looks like it"
	case found.State == "":
		return nil
	}
	return found
}

// describe says what values look like, and has some of them where that is wanted.
func (l *learner) describe(found *Finding, texts []string) {
	if found.Field == fields.Wrapper || found.Field == fields.Answers {
		if found.Field == fields.Answers && len(found.Looks) == 0 {
			found.Looks = l.answersLook()
		}
		return
	}
	for _, text := range texts {
		if text == "" {
			continue
		}
		if looks := shape.Text(text); len(found.Looks) < 3 && !slices.Contains(found.Looks, looks) {
			found.Looks = append(found.Looks, looks)
		}
		if l.o.Values && len(found.Values) < 3 && !slices.Contains(found.Values, text) {
			found.Values = append(found.Values, text)
		}
	}
	slices.Sort(found.Looks)
}

func (l *learner) answersLook() []string {
	most, labelled, unread := 0, 0, false
	for _, s := range l.samples {
		n := 0
		for _, a := range s.now.Pass.FormAnswers {
			if a.Label != "" {
				n++
			}
		}
		most, labelled = max(most, len(s.now.Pass.FormAnswers)), max(labelled, n)
		unread = unread || s.now.UnreadAnswers
	}
	looks := fmt.Sprintf("up to %d answers, %d with a label", most, labelled)
	if unread {
		looks += ", some of another form"
	}
	return []string{looks}
}
