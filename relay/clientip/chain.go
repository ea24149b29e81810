package clientip

import (
	"iter"
	"strings"
)

// How much of a chain is looked at. Real ones are a few proxies long.
const (
	maxElements = 32
	maxBytes    = 8 << 10
)

const space = " \t"

// fromRight yields the elements of a list that may be spread over several lines
// of a header, the last element first, as far as the bounds allow.
//
// Empty elements are not passed over, though RFC 9110 would have it: a proxy that
// has nothing to say of its caller must not lead to what that caller said.
func fromRight(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		list := strings.Join(lines, ",")
		whole := len(list) <= maxBytes
		list = list[max(0, len(list)-maxBytes):]
		for range maxElements {
			rest, element, more := cutLast(list, ',')
			if !more && !whole {
				return // the element may have lost its beginning
			}
			if !yield(strings.Trim(element, space)) || !more {
				return
			}
			list = rest
		}
	}
}

// cutLast cuts s around the last separator outside a quoted string, in linear
// time.
//
// It reads from the right, since the right end was written by those who are
// trusted. Read from the left, a quote that a caller opens and does not close
// would swallow what a proxy adds.
func cutLast(s string, separator byte) (before, after string, found bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && !escaped(s[:i]):
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return "", s, false
}

// escaped reports whether what follows before is escaped by its end. A quote
// that opens a string follows "=" and never is.
func escaped(before string) bool {
	backslashes := len(before) - len(strings.TrimRight(before, `\`))
	return backslashes%2 == 1
}
