package shape

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxHeaders      = 64
	maxHeaderValues = 8
	maskedName      = "(masked)"
)

var (
	mediaType  = `[A-Za-z*]{1,32}/[A-Za-z0-9.+*-]{1,64}`
	weight     = `(?:; ?q=[01](?:\.[0-9]{1,3})?)?`
	coding     = `(?:gzip|deflate|br|zstd|compress|identity|chunked|\*)`
	mediaTypes = regexp.MustCompile(`^` + mediaType + weight + `(?:, ?` + mediaType + weight + `){0,7}`)
	codings    = regexp.MustCompile(`^` + coding + weight + `(?:, ?` + coding + weight + `){0,7}`)
	// A charset is all that is told of a type's parameters.
	contentType = regexp.MustCompile(`^` + mediaType + `(?:; ?charset="?[A-Za-z0-9-]{1,16}"?)?`)
	length      = regexp.MustCompile(`^[0-9]{1,12}$`)
	product     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,31}/[0-9][0-9A-Za-z.+-]{0,23}$`)
)

// telling are the headers whose values are told: those that describe the body
// and the program that sent it. What names a caller, a person, a place or a
// secret (authorisation, cookies, addresses, hosts, traces, languages) is not
// among them, and neither is any header that nobody has thought of.
var telling = map[string]func(value string) string{
	"accept":            mediaTypes.FindString,
	"accept-encoding":   codings.FindString,
	"content-encoding":  codings.FindString,
	"content-length":    length.FindString,
	"content-type":      contentType.FindString,
	"transfer-encoding": codings.FindString,
	"user-agent":        products,
}

// headers describes the first headers by name, and counts the rest.
func headers(header http.Header) (described []Header, cut int) {
	byName := make(map[string][]string)
	for _, written := range sortedNames(header) {
		name := strings.ToLower(written)
		if !isName(name) {
			name = maskedName
		}
		byName[name] = append(byName[name], header[written]...)
	}
	names := sortedNames(byName)
	kept := names[:min(len(names), maxHeaders)]
	described = make([]Header, 0, len(kept))
	for _, name := range kept {
		described = append(described, describe(name, byName[name]))
	}
	return described, len(names) - len(kept)
}

func sortedNames(header map[string][]string) []string {
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func describe(name string, values []string) Header {
	h := Header{Name: name, Count: len(values), Lengths: []int{}}
	tell := telling[name]
	for _, value := range values[:min(len(values), maxHeaderValues)] {
		h.Lengths = append(h.Lengths, utf8.RuneCountInString(value))
		if tell == nil {
			continue
		}
		if told := tell(value); told != "" {
			h.Values = append(h.Values, told)
		}
	}
	return h
}

// products are the programs and versions that a User-Agent begins with. Where
// its first comment starts it ends: devices and people's addresses stand there.
func products(agent string) string {
	begin, _, _ := strings.Cut(agent, "(")
	var found []string
	for word := range strings.FieldsSeq(begin) {
		if product.MatchString(word) && len(found) < maxHeaderValues {
			found = append(found, word)
		}
	}
	return strings.Join(found, " ")
}
