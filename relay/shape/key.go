package shape

import "strings"

const (
	maxName       = 64
	maxNameDigits = 4
)

// isName reports whether a text reads like the name of a field, a header or an
// event: ASCII letters, digits and "_-.", a letter or underscore first. With more
// than a few digits it is rather a number or an id.
func isName(s string) bool {
	if s == "" || len(s) > maxName || strings.IndexByte("0123456789-.", s[0]) >= 0 {
		return false
	}
	digits := 0
	for i := range len(s) {
		switch b := s[i]; {
		case b >= '0' && b <= '9':
			digits++
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == '-', b == '.':
		default:
			return false
		}
	}
	return digits <= maxNameDigits && !uuid.MatchString(s)
}

// known are the names that Sine is known or expected to use.
var known = set("event date data payload body id passId visitId pass site siteId zone notes status " +
	"firstName lastName company email mobile photoURL passType entryType host hostGroupName " +
	"formResponses responses label value user workflow name")

func set(words string) map[string]bool {
	all := make(map[string]bool)
	for word := range strings.FieldsSeq(words) {
		all[word] = true
	}
	return all
}
