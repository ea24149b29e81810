package shape

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShort is more than any text has that is written to a pattern of its own,
// and maxURL more than any URL in use.
const (
	maxShort = 320
	maxURL   = 8 << 10
)

var (
	uuid     = regexp.MustCompile(`^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$`)
	integer  = regexp.MustCompile(`^[+-]?[0-9]+$`)
	fraction = regexp.MustCompile(`^[+-]?[0-9]+[.,][0-9]+$`)
	phone    = regexp.MustCompile(`^\+?(?:[ ()./-]*[0-9]){7,15}$`)
	email    = regexp.MustCompile(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)
	word     = regexp.MustCompile(`^\p{L}[\p{L}\p{M}]*(?:['’-][\p{L}\p{M}]+)*$`)
)

// classes are tried in turn; a text is of the first that it matches.
var classes = []struct {
	name string
	// implied is set where length says nothing that the class does not, or
	// more than it should.
	implied bool
	max     int // of the text in bytes; 0 is any
	matches func(s string) (format string, ok bool)
}{
	{"empty", true, 0, func(s string) (string, bool) { return "", s == "" }},
	{"white space", false, 0, func(s string) (string, bool) { return "", strings.TrimSpace(s) == "" }},
	{"boolean", true, maxShort, boolean},
	{"date", true, maxShort, dateLayout},
	{"epoch", true, maxShort, epochUnit},
	{"integer", false, maxShort, plain(integer)},
	{"fraction", false, maxShort, plain(fraction)},
	{"uuid", true, maxShort, cased(uuid.MatchString)},
	{"hex", false, maxShort, cased(isHex)},
	{"phone", false, maxShort, phoneKind},
	{"url", false, maxURL, urlKind},
	{"data uri", false, 0, dataKind},
	{"e-mail", false, maxShort, plain(email)},
	{"base64", false, 0, base64Kind},
	{"json", false, 0, isJSON},
	{"word", false, maxShort, cased(word.MatchString)},
	{"code", false, 0, cased(func(s string) bool { return !strings.ContainsFunc(s, unicode.IsSpace) })},
}

// classify is the form of a text. Nothing in it but counts depends on more than
// the class and its format, both of closed sets.
func classify(s string) Form {
	f := Form{Type: "string", Class: "text", Count: 1, Length: exactly(utf8.RuneCountInString(s))}
	for _, c := range classes {
		if c.max > 0 && len(s) > c.max {
			continue
		}
		format, ok := c.matches(s)
		if !ok {
			continue
		}
		f.Class, f.Format = c.name, format
		if c.implied {
			f.Length = Range{}
		}
		if c.name == "url" {
			f.Parts = exactly(segments(s))
		}
		return f
	}
	f.Format, f.Parts = letterCase(s), exactly(len(strings.Fields(s)))
	return f
}

func plain(pattern *regexp.Regexp) func(string) (string, bool) {
	return func(s string) (string, bool) { return "", pattern.MatchString(s) }
}

func boolean(s string) (string, bool) {
	switch strings.ToLower(s) {
	case "true", "false":
		return "true or false", true
	case "yes", "no":
		return "yes or no", true
	default:
		return "", false
	}
}

// isHex leaves numbers and words out, which have digits or letters only.
func isHex(s string) bool {
	const digits, letters = "0123456789", "abcdefABCDEF"
	return len(s) >= 8 && strings.Trim(s, digits+letters) == "" && strings.ContainsAny(s, digits) && strings.ContainsAny(s, letters)
}

func phoneKind(s string) (string, bool) {
	if strings.HasPrefix(s, "+") {
		return "with +", phone.MatchString(s)
	}
	return "without +", phone.MatchString(s)
}
