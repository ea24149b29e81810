package config

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// spec reads where the fields of a body are.
func (p fieldPath) spec(o options) fields.Spec {
	s := fields.Spec{Labels: o.Labels.Label, Values: o.Labels.Value, DateFormats: o.Dates.Formats, DateZone: p.dateZone(o.Dates.TimeZone)}
	if len(o.Fields) > 0 {
		s.Places = map[fields.Field][]string{}
	}
	for name, places := range o.Fields {
		s.Places[fields.Field(name)] = places
	}
	if len(o.CauseAliases) > 0 {
		s.Causes = map[string]visit.Cause{}
	}
	for word, cause := range o.CauseAliases {
		s.Causes[word] = visit.Cause(cause)
	}
	return s
}

func (p fieldPath) dateZone(name string) *time.Location {
	if name == "" {
		return nil
	}
	zone, err := loadZone(name)
	if err != nil {
		p.add("dates.timeZone", "%s", err)
	}
	return zone
}

// compile prepares a specification for reading, or adds what is wrong with it.
func (p fieldPath) compile(s fields.Spec) *fields.Fields {
	f, problems := fields.Compile(s)
	for _, problem := range problems {
		p.add(problem.Path, "%s", problem.What)
	}
	return f
}

// compileOver does so for the specification of an entry over the defaults. Each is
// compiled alone first: what is wrong with the defaults is a problem of theirs.
func (p fieldPath) compileOver(own, defaults resolved) *fields.Fields {
	if own.spec.IsZero() {
		return defaults.fields
	}
	if p.compile(own.spec) == nil || defaults.fields == nil {
		return nil
	}
	return p.compile(own.spec.Over(defaults.spec))
}

// doubts adds as warnings what is probably a slip in what an entry, or the defaults, say
// of fields.
func (s *Settings) doubts(p fieldPath, f *fields.Fields, own fields.Spec) {
	if f == nil {
		return
	}
	p.problems = &s.Warnings
	for _, doubt := range f.Doubts(own) {
		p.add(doubt.Path, "%s", doubt.What)
	}
}

// expects keeps an empty list apart from none: it undoes a default.
func (p fieldPath) expects(field string, texts []string) []fields.Expectation {
	if texts == nil {
		return nil
	}
	all := make([]fields.Expectation, len(texts))
	for i, text := range texts {
		e, err := fields.ParseExpectation(text)
		if err != nil {
			p.add(fmt.Sprintf("%s[%d]", field, i), "%v", err)
		}
		all[i] = e
	}
	return all
}

// maxExternalID is how long an external id may be, in characters.
const maxExternalID = 128

func (p fieldPath) externalID(id string) {
	for _, r := range id {
		if !unicode.IsPrint(r) {
			p.add("externalId", "contains a non-printable character")
			break
		}
	}
	if n := utf8.RuneCountInString(id); n > maxExternalID {
		p.add("externalId", "has %d characters, at most %d are supported", n, maxExternalID)
	}
}
