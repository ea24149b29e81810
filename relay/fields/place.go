package fields

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of what can be configured. Reading takes time in proportion to the body and,
// at worst, to the number of places.
const (
	// MaxPlaces is how many places a field may have.
	MaxPlaces = 8
	// maxSegments is how deep a pointer leads, and maxSegment how long a key may be.
	maxSegments = 16
	maxSegment  = 128
)

// segment is one step of a pointer.
type segment struct {
	// key is compared as [Spelling] has it; exact is as it was written.
	key, exact string
	// any is set for "*".
	any bool
	// member and is are those of name=Company; the segment is a key as well.
	member, is string
}

// pointer is the way from an object to a value in it.
type pointer []segment

// template joins the values of pointers with the texts between them: text[i] precedes
// pointer i, and the last text follows them all.
type template struct {
	field, place int
	texts        []string
	parts        []int // slots
}

// parsePointer reads a JSON pointer.
func parsePointer(text string) (pointer, error) {
	switch {
	case text == "":
		return nil, fmt.Errorf("must be a JSON pointer such as /data/company, and is empty")
	case text[0] != '/':
		return nil, fmt.Errorf("must be a JSON pointer and begin with \"/\", as in %s; or a template such as {/data/first} {/data/last}", suggestPointer(text))
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("must be UTF-8")
	}
	if err := slip(text); err != nil {
		return nil, err
	}
	var p pointer
	for written := range strings.SplitSeq(text[1:], "/") {
		s, err := parseSegment(written)
		if err != nil {
			return nil, err
		}
		p = append(p, s)
	}
	if len(p) > maxSegments {
		return nil, fmt.Errorf("leads %d levels deep, at most %d are supported", len(p), maxSegments)
	}
	return p, nil
}

func parseSegment(written string) (segment, error) {
	if len(written) > maxSegment {
		return segment{}, fmt.Errorf("has a key of %d bytes, at most %d are supported", len(written), maxSegment)
	}
	if i := strings.IndexByte(written, '~'); i >= 0 && !validTildes(written) {
		return segment{}, fmt.Errorf("has an invalid escape in %q: \"~\" is written ~0, and \"/\" within a key ~1", written)
	}
	exact := written
	if strings.Contains(written, "~") {
		exact = unescapes.Replace(written)
	}
	s := segment{key: keyOf(exact), exact: exact, any: exact == "*"}
	if member, is, ok := strings.Cut(exact, "="); ok && member != "" && is != "" {
		s.member, s.is = keyOf(member), keyOf(is)
	}
	return s, nil
}

func validTildes(written string) bool {
	return !strings.Contains(tildes.Replace(written), "~")
}

var unescapes, tildes = strings.NewReplacer("~1", "/", "~0", "~"), strings.NewReplacer("~0", "", "~1", "")

// parseTemplate reads a template of pointers in braces, or returns nil for a text that
// has none.
func parseTemplate(text string) (texts []string, pointers []pointer, err error) {
	if !strings.HasPrefix(text, "{") && !strings.Contains(text, "{/") {
		return nil, nil, nil
	}
	rest := text
	for {
		before, after, ok := strings.Cut(rest, "{")
		texts = append(texts, before)
		if strings.Contains(before, "}") {
			return nil, nil, fmt.Errorf("has a \"}\" without \"{\"")
		}
		if !ok {
			break
		}
		inner, after, closed := strings.Cut(after, "}")
		if !closed {
			return nil, nil, fmt.Errorf("has a \"{\" without \"}\"")
		}
		p, err := parsePointer(inner)
		if err != nil {
			return nil, nil, fmt.Errorf("{%s}: %w", inner, err)
		}
		pointers, rest = append(pointers, p), after
	}
	if err := slipOfTemplate(text, texts); err != nil {
		return nil, nil, err
	}
	if len(pointers) > maxParts {
		return nil, nil, fmt.Errorf("joins %d places, at most %d are supported", len(pointers), maxParts)
	}
	return texts, pointers, nil
}

// maxParts is how many places a template may join.
const maxParts = 4

// overlaps reports whether two pointers may lead to the same value.
func (p pointer) overlaps(q pointer) bool {
	return len(p) == len(q) && !slices.ContainsFunc(indexes(len(p)), func(i int) bool { return !p[i].overlaps(q[i]) })
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func (s segment) overlaps(o segment) bool {
	switch {
	case s.any, o.any, s.key == o.key:
		return true
	case s.member != "" && o.member != "":
		return s.member != o.member // two texts at one name exclude each other
	default:
		return s.member != "" && o.isIndex() || o.member != "" && s.isIndex()
	}
}

func (s segment) isIndex() bool { return s.index() >= 0 }

// index is the element that the segment stands for in a list, or -1.
func (s segment) index() int {
	if s.exact == "" || !isDigit(s.exact[0]) {
		return -1 // nearly all; an error would be made for each
	}
	n, err := strconv.Atoi(s.exact)
	if err != nil || n < 0 || strconv.Itoa(n) != s.exact {
		return -1
	}
	return n
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

// Spelling makes spellings of one name equal, such as "signin_after" and
// "SignIn-After", and a letter with its accent as one character and as two.
func Spelling(name string) string {
	if !isASCII(name) {
		name = norm.NFC.String(name)
	}
	return separators.Replace(strings.ToLower(name))
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// keyOf is the spelling of a key. One of separators alone stays as it is.
func keyOf(name string) string {
	if key := Spelling(name); key != "" {
		return key
	}
	return name
}
