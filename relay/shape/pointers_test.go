package shape

import (
	"slices"
	"testing"
)

func TestPointers_AreMasked(t *testing.T) {
	for _, c := range []struct{ pointers, want []string }{
		{nil, []string{}},
		{[]string{"/data/badge_colour", "/data/visitor/givenName"}, []string{"/data/badge_colour", "/data/visitor/givenName"}},
		{[]string{"/data/Ada Lovelace", "/data/lovelace", "/data/company"}, []string{"/data/{}", "/data/{}", "/data/company"}},
		{[]string{"/data/ada@example.com/x", "/other/lovelace"}, []string{"/data/{}/x", "/other/lovelace"}},
		{[]string{"/data/0412345678", "/data/items/12/key"}, []string{"/data/{}", "/data/{}/12/key"}},
		{[]string{"/data/list/*/key", "/data/list/name=Company/value"}, []string{"/data/list/*/key", "/data/list/name=Company/value"}},
		{[]string{"/data/list/name=Ada Lovelace/value"}, []string{"/data/list/{}/value"}},
		{[]string{"/a~1b", ""}, []string{"/{}", ""}},
	} {
		if got := Pointers(c.pointers); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.pointers, got)
		}
	}
}
