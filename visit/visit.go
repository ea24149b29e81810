// Package visit is the contract of Sine Relay: the check-in request that a decider
// gets, the decision that it replies with, the event that subscribers receive, and
// the NATS subjects and headers that carry them. Other teams import it. For other
// languages its subpackage contract has the same as JSON Schemas.
//
// Go programs that decide, or that receive events, use its subpackage subscriber.
// Without it, decode an [Event] or a [CheckInRequest] with [encoding/json], and read
// other messages with [ParseDecision] and [ParseQuarantined].
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
	"strings"
	"unicode"
)

// Kind is which of Sine's three webhooks something comes from. Its values are part
// of the wire format.
type Kind string

const (
	// KindCheckInRequest comes before a pass is made. A visitor waits for the
	// response.
	KindCheckInRequest Kind = "check_in_request"
	// KindCheckedIn is the event that a pass was issued.
	KindCheckedIn Kind = "checked_in"
	// KindCheckedOut is the event that a pass ended, by checking out or by
	// expiring; [Event.Cause] says which.
	KindCheckedOut Kind = "checked_out"
)

// IsEvent reports whether the kind is that of an event, which must be stored, and
// not of a check-in request.
func (k Kind) IsEvent() bool { return k == KindCheckedIn || k == KindCheckedOut }

// NamePattern is the form of every name that becomes part of a NATS subject:
// sites, integrations and deciders.
const NamePattern = `[A-Za-z0-9_-]{1,64}`

// ValidName reports whether s may name a site, an integration or a decider.
func ValidName(s string) bool { return consistsOf(s, "_-", 1, 64) }

// consistsOf reports whether s has at least and at most so many bytes, each an ASCII
// letter, a digit or one of more. A regular expression that counts to 128 takes 100 KiB.
func consistsOf(s, more string, least, most int) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}

// hidden are characters that nobody sees and no language needs within a text. Those that
// override or isolate the direction of writing (U+202A to U+202E, U+2066 to U+2069) make
// what follows be displayed as another text than it is; the others display nothing, and
// tags (U+E0000 to U+E007F) can hide a whole text. The joiners of Persian and of Indic
// languages, the marks of direction of Arabic and Hebrew, and the zero-width space of
// Khmer and Thai are not among them.
var hidden = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x202a, Hi: 0x202e, Stride: 1}, {Lo: 0x2060, Hi: 0x206f, Stride: 1}, {Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, {Lo: 0xfff9, Hi: 0xfffb, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0xe0000, Hi: 0xe007f, Stride: 1}},
}

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\t", " ")

// CleanText returns a text for people without the characters that a screen or a
// terminal interprets, and without those that hide or turn around what is written:
// control characters, those that override or isolate the direction of writing, and
// invisible ones that no language needs. Line breaks stay, each as a "\n"; a tab becomes a
// space; invalid UTF-8 becomes U+FFFD.
func CleanText(s string) string {
	s = lineBreaks.Replace(strings.ToValidUTF8(s, "\ufffd"))
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(hidden, r)) {
			return -1
		}
		return r
	}, s)
}

// IsBlank reports whether a text displays nothing: it is empty, or consists of white
// space and characters without a glyph.
func IsBlank(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}
