package clientip

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Whatever is in the header, the answer is the peer or an address that stands in
// it; and what a client sent does not change what the proxy says of it.
func fuzz(f *testing.F, name Header, check func(t *testing.T, lines []string, got netip.Addr)) {
	for _, line := range []string{
		"", outside, forged + ", " + outside + "\n10.0.0.2", `for=6.6.6.6;x=", for="[2001:db8::1]:80";by=_a`,
		`FOR="1.2.3.4:_p";host="a\", for=5.6.7.8\\"` + "\nfor=10.0.0.2", "[fe80::1%eth0]:1, ::ffff:10.0.0.3, 10.0.0.2:80",
		`for="[fe80::1%"a"]"`, `::%,"`, strings.Repeat("10.0.0.2,", 40), strings.Repeat(`\`, 99) + `",for=unknown`,
	} {
		f.Add(line, uint8(len(line)), uint8(len(line)))
	}
	p := trusting(f, name)
	f.Fuzz(func(t *testing.T, sent string, element, way uint8) {
		lines := strings.Split(sent, "\n")
		got := p.Address(proxy, header(name, lines...))
		if got != addr("10.0.0.1") && !standsIn(sent, got) {
			t.Errorf("%q gives %s", lines, got)
		}
		if got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q gives %s, not as it is compared", lines, got)
		}
		check(t, lines, got)

		by := appended[name][int(element)%len(appended[name])]
		passedOn := add(lines, by.element, way)
		if got := p.Address(proxy, header(name, passedOn...)); got != addr(by.want) {
			t.Errorf("%q gives %s, want %s", passedOn, got, by.want)
		}
	})
}

// standsIn looks for an address in a text in the plainest way.
func standsIn(text string, want netip.Addr) bool {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n,;=\"[]", r) }) {
		word, _, _ = strings.Cut(word, "%")
		withoutPort := word[:max(0, strings.LastIndexByte(word, ':'))]
		for _, s := range []string{word, withoutPort} {
			if a, err := netip.ParseAddr(s); err == nil && a.Unmap() == want {
				return true
			}
		}
	}
	return false
}

func FuzzXForwardedFor(f *testing.F) {
	fuzz(f, XForwardedFor, func(t *testing.T, lines []string, got netip.Addr) {
		elements := strings.Split(strings.Join(lines, ","), ",")
		if len(strings.Join(lines, ",")) > maxBytes || len(elements) > maxElements {
			return // the plain way has no bounds
		}
		want := addr("10.0.0.1")
		for _, e := range slices.Backward(elements) {
			a := readNode(strings.Trim(e, " \t"))
			if !contains(trusting(t, "").Trusted, want) || !a.IsValid() {
				break
			}
			want = a
		}
		if got != want {
			t.Errorf("%q gives %s, walked plainly %s", lines, got, want)
		}
	})
}

func FuzzForwarded(f *testing.F) {
	fuzz(f, Forwarded, func(t *testing.T, lines []string, got netip.Addr) {
		if got != addr("10.0.0.1") && !strings.Contains(strings.ToLower(strings.Join(lines, "\n")), "for=") {
			t.Errorf("%q gives %s, and nothing says for whom", lines, got)
		}
	})
}
