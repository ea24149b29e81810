package shape

import (
	"slices"
	"strings"
)

// Pointer is one of [Pointers], by itself.
func Pointer(pointer string) string { return Pointers([]string{pointer})[0] }

// Pointers are JSON pointers of one body, masked as the keys of a [Shape] are: "{}" stands
// for a key that does not read like the name of a field, and for those beside it that Sine
// is not known to use. A number and "*" stay, and in name=Company both parts are looked
// at.
func Pointers(pointers []string) []string {
	odd := map[string]bool{} // objects that have such a key
	each := func(pointer string, fn func(object, key string)) {
		for at := 0; at >= 0 && at < len(pointer); {
			key, _, _ := strings.Cut(pointer[at+1:], "/")
			fn(pointer[:at], key)
			at += 1 + len(key)
		}
	}
	for _, p := range pointers {
		each(p, func(object, key string) { odd[object] = odd[object] || !isPlain(key) })
	}
	masked := make([]string, len(pointers))
	for i, p := range pointers {
		each(p, func(object, key string) {
			if !isPlain(key) || odd[object] && !known[key] && !isPlace(key) {
				key = "{}"
			}
			masked[i] += "/" + key
		})
	}
	return masked
}

// isPlace reports whether a key says which element of a list.
func isPlace(key string) bool {
	return key == "*" || strings.Trim(key, "0123456789") == "" && len(key) <= 4
}

func isPlain(key string) bool {
	return isPlace(key) || !slices.ContainsFunc(strings.SplitN(key, "=", 2), func(part string) bool { return !isName(part) })
}
