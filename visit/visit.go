// Package visit holds the words of Sine Relay's contract: what a decider is
// asked, what it answers, what an event says, and the names under which all of
// it travels on NATS. Other teams import it, or read its golden files in
// testdata and write the same thing in another language.
//
// The package needs nothing but the standard library and talks to nothing.
//
// # Compatibility
//
// Everything on the wire carries "v1" in its subject. Within v1, fields and
// enumerated values are only ever added; none is renamed, removed, or given
// another meaning. A reader must therefore ignore fields that it does not know
// and treat an unknown enumerated value as its "unknown". The golden files fail
// the build when a change would break this promise.
package visit

import (
	"regexp"
	"strings"
	"unicode"
)

// Kind says which of Sine's three calls something comes from. Its values are
// part of the wire format.
type Kind string

const (
	// KindCheckInRequest is the question before a pass exists. A visitor waits
	// for the answer.
	KindCheckInRequest Kind = "check_in_request"
	// KindCheckedIn is the event that a pass was issued.
	KindCheckedIn Kind = "checked_in"
	// KindCheckedOut is the event that a pass ended, by checking out or by
	// expiring; [Event.Cause] tells which.
	KindCheckedOut Kind = "checked_out"
)

// IsEvent reports whether the kind is something that has happened, and so must
// be stored, rather than a question.
func (k Kind) IsEvent() bool { return k == KindCheckedIn || k == KindCheckedOut }

// NamePattern is the form of every name that becomes part of a NATS subject:
// sites, integrations and deciders.
const NamePattern = `[A-Za-z0-9_-]{1,64}`

var name = regexp.MustCompile(`^` + NamePattern + `$`)

// ValidName reports whether s may name a site, an integration or a decider.
func ValidName(s string) bool { return name.MatchString(s) }

// turns are the characters that override or isolate the direction of writing: what
// follows them can show as another text than it is.
var turns = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x202a, Hi: 0x202e, Stride: 1}, {Lo: 0x2066, Hi: 0x2069, Stride: 1}}}

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\t", " ")

// CleanText returns a text for people to read without what a screen or a terminal
// would obey: control characters and those that override the direction of writing.
// Line breaks stay, each as a "\n"; a tab becomes a space; what is no UTF-8 becomes
// U+FFFD.
func CleanText(s string) string {
	s = lineBreaks.Replace(strings.ToValidUTF8(s, "\ufffd"))
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(turns, r)) {
			return -1
		}
		return r
	}, s)
}

// IsBlank reports whether a text shows nothing: it is empty, or made of white space
// and of characters that have no shape.
func IsBlank(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}
