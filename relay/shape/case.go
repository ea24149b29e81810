package shape

import "unicode"

// cased makes a refinement by letter case of what matches.
func cased(matches func(string) bool) func(string) (string, bool) {
	return func(s string) (string, bool) {
		if !matches(s) {
			return "", false
		}
		return letterCase(s), true
	}
}

// letterCase is empty for a text without upper and lower case.
func letterCase(s string) string {
	first, upper, lower := false, 0, 0
	for _, r := range s {
		switch {
		case unicode.IsUpper(r):
			first = first || upper+lower == 0
			upper++
		case unicode.IsLower(r):
			lower++
		}
	}
	switch {
	case upper+lower == 0:
		return ""
	case upper == 0:
		return "lower case"
	case lower == 0:
		return "upper case"
	case first && upper == 1:
		return "capitalised"
	default:
		return "mixed case"
	}
}
