package fields

import "slices"

// Count is how many fields there are: the length of [All].
const Count = fieldCount

// Set is a set of fields; the bits are in the order of [All].
type Set uint32

// Of is the set of these fields.
func Of(all ...Field) (s Set) {
	for _, f := range all {
		s |= 1 << numberOf(f)
	}
	return s
}

// Has reports whether a field is in the set.
func (s Set) Has(f Field) bool { return s&Of(f) != 0 }

// Elsewhere are the fields that are not at a place that the configuration names for them,
// and are at a built-in one.
func (b *Body) Elsewhere() (s Set) {
	for field, place := range b.places {
		if b.configured[field] > 0 && place > b.configured[field] {
			s |= 1 << field
		}
	}
	return s
}

// Found are the fields that the body has, by the rules of [Body.Meets]: one for which the
// configuration names places is found at one of them, and a date where it can be read. Answers
// are found where one of them has a value.
func (b *Body) Found() (s Set) {
	for field, place := range b.places {
		if place != 0 && (b.configured[field] == 0 || place <= b.configured[field]) {
			s |= 1 << field
		}
	}
	if b.HasUnreadDate() {
		s &^= 1 << date
	}
	for _, a := range b.Pass.FormAnswers {
		if a.Value != "" {
			return s
		}
	}
	return s &^ (1 << answers)
}

// HasUnreadDate reports whether there is a date that cannot be read.
func (b *Body) HasUnreadDate() bool {
	if b.places[date] == 0 {
		return false
	}
	if b.dateKnown == unknown {
		b.dateKnown = unread
		if b.dates.reads(b.Date) {
			b.dateKnown = readable
		}
	}
	return b.dateKnown == unread
}

// Configured are the places of a field that the configuration names.
func (f *Fields) Configured(field Field) []string { return f.configured[numberOf(field)] }

// Changed are the fields that are looked for at other configured places than before. A
// wrapper changes them all.
func (f *Fields) Changed(before *Fields) (s Set) {
	for field := range f.configured {
		if !slices.Equal(f.configured[field], before.configured[field]) {
			s |= 1 << field
		}
	}
	if s&(1<<wrapper) != 0 {
		return 1<<fieldCount - 1
	}
	return s
}
