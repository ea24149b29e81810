package visit

import (
	"strings"
	"unicode"
)

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

// Blank reports whether a text shows nothing: it is empty, or made of white space
// and of characters that have no shape.
func Blank(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}
