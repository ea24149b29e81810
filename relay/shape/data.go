package shape

import (
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var address = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://[^\s/?#]+(/[^\s?#]*)?(\?[^\s#]+)?(?:#\S*)?$`)

// urlKind tells the scheme. A host may name a customer or a person.
func urlKind(s string) (string, bool) {
	parts := address.FindStringSubmatch(s)
	if parts == nil {
		return "", false
	}
	format := strings.ToLower(parts[1])
	if format != "http" && format != "https" {
		format = "other scheme"
	}
	if query := parts[3]; query != "" {
		format += " with a query"
	}
	return format, true
}

// segments counts those of the path of what urlKind took.
func segments(s string) int {
	path := address.FindStringSubmatch(s)[2]
	return len(strings.FieldsFunc(path, func(r rune) bool { return r == '/' }))
}

// kinds of data by how its base64 begins.
var kinds = []struct{ prefix, name string }{
	{"/9j/", "jpeg"},
	{"iVBORw0KGgo", "png"},
	{"R0lGOD", "gif"},
	{"UklGR", "webp"},
	{"JVBERi0", "pdf"},
}

const otherKind = "other kind"

// dataKind tells the kind of a data URI by its media type.
func dataKind(s string) (string, bool) {
	media, ok := strings.CutPrefix(s, "data:")
	media, _, comma := strings.Cut(media, ",")
	if !ok || !comma {
		return "", false
	}
	media, _, _ = strings.Cut(media, ";")
	switch media {
	case "image/jpeg", "image/png", "image/gif", "image/webp", "image/svg+xml", "application/pdf", "text/plain":
		return media, true
	default:
		return otherKind, true
	}
}

const minBase64 = 32

// base64Kind takes what is too long and too mixed for a code that people use.
func base64Kind(s string) (string, bool) {
	const upper, lower, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
	if len(s) < minBase64 || strings.Trim(s, upper+lower+digits+"+/-_=\r\n") != "" {
		return "", false
	}
	if !strings.ContainsAny(s, upper) || !strings.ContainsAny(s, lower) || !strings.ContainsAny(s, digits) {
		return "", false
	}
	for _, kind := range kinds {
		if strings.HasPrefix(s, kind.prefix) {
			return kind.name, true
		}
	}
	return otherKind, true
}

func isJSON(s string) (string, bool) {
	nested := strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")
	return "", nested && jsontext.Value(s).IsValid()
}
