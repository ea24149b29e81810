package clientip

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// pieces are what hostile headers are made of.
var pieces = []string{
	forged, "10.0.0.9", "fd00::9", "[2001:db8::6]:80", "for=", "For=", "by=", "x=", "_hidden", "unknown",
	`"`, `"`, `"`, `\`, `\`, `\"`, ",", ",", ", ", ";", ";", "=", "[", "]", ":", "%", " ", "\t", "\x00", "é", "",
}

func hostile(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(12) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// appended are ways in which proxies add who called them to a header, which are
// all the same to whoever reads it.
var appended = map[Header][]struct{ element, want string }{
	XForwardedFor: {
		{"203.0.113.7", outside}, {"203.0.113.7:5678", outside}, {"2001:db8::1", "2001:db8::1"},
		{"[2001:db8::1]:5678", "2001:db8::1"}, {"::ffff:203.0.113.7", outside}, {"203.0.113.7, 10.0.0.2", outside},
	},
	Forwarded: {
		{"for=203.0.113.7", outside}, {`for="203.0.113.7:5678"`, outside}, {`for="[2001:db8::1]"`, "2001:db8::1"},
		{`by=_a;for="[2001:db8::1]:5678";host="x\\";proto=https`, "2001:db8::1"},
		{`host="a\", for=6.6.6.6;b=\"";for=203.0.113.7`, outside}, {`for=203.0.113.7;by="_b", for="[fd00::2]"`, outside},
	},
}

// add returns the lines that a proxy passes on, of those that it was sent: it
// adds to the last line, or a line.
func add(sent []string, element string, way uint8) []string {
	lines := append([]string{}, sent...)
	if way%3 == 0 || len(lines) == 0 {
		return append(lines, element)
	}
	lines[len(lines)-1] += []string{",", ", "}[way%2] + element
	return lines
}

func TestAddress_WhatAClientSendsChangesNothing(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	for name, ways := range appended {
		p := trusting(t, name)
		for range 20_000 {
			sent := make([]string, r.IntN(3))
			for i := range sent {
				sent[i] = hostile(r)
			}
			by := ways[r.IntN(len(ways))]
			lines := add(sent, by.element, uint8(r.IntN(256)))
			if got := p.Address(proxy, header(name, lines...)); got != addr(by.want) {
				t.Fatalf("%s: %q gives %s, want %s", name, lines, got, by.want)
			}
		}
	}
}

// quote writes a quoted string that holds whatever confuses.
func quote(r *rand.Rand) string {
	var b strings.Builder
	b.WriteByte('"')
	for range r.IntN(6) {
		b.WriteString([]string{`\"`, `\\`, ",", ";", "for=6.6.6.6", "=", "a", `\a`}[r.IntN(8)])
	}
	b.WriteByte('"')
	return b.String()
}

func TestAddress_WellFormedChainsAreReadToTheirEnd(t *testing.T) {
	const seed = 7239
	r := rand.New(rand.NewPCG(seed, seed))
	p := trusting(t, Forwarded)
	for range 20_000 {
		chain := []string{"for=6.6.6.6", "for=203.0.113.7"}
		for i := range r.IntN(6) {
			chain = append(chain, fmt.Sprintf(`for="10.0.0.%d"`, i))
		}
		for i := range chain {
			for range r.IntN(3) {
				chain[i] = "x=" + quote(r) + ";" + chain[i] + "; y=" + quote(r)
			}
		}
		cut := r.IntN(len(chain))
		lines := []string{strings.Join(chain[:cut], " , "), strings.Join(chain[cut:], ",")}
		if cut == 0 {
			lines = lines[1:]
		}
		if got := p.Address(proxy, header(Forwarded, lines...)); got != addr(outside) {
			t.Fatalf("%q gives %s", lines, got)
		}
	}
}

func hops(n int) string { return strings.Repeat(", 10.0.0.2", n) }

func TestAddress_ChainsAreBounded(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"as many elements as are looked at", outside + hops(maxElements-1), outside},
		{"one element more", outside + hops(maxElements), "10.0.0.2"},
		{"as many bytes as are looked at", outside + strings.Repeat(" ", maxBytes-len(outside)), outside},
		{"one byte more, and the rest would be an address", "1" + outside + strings.Repeat(" ", maxBytes-len(outside)), "10.0.0.1"},
		{"the last whole element within the bytes", outside + ", 10.0.0.2" + strings.Repeat(" ", maxBytes-len(", 10.0.0.2")), "10.0.0.2"},
		{"much in front of the client", strings.Repeat(forged+",", 1<<20) + outside, outside},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := trusting(t, XForwardedFor).Address(proxy, header(XForwardedFor, c.line)); got != addr(c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// enormous are headers that keep a parser of quadratic time busy until the test
// is killed.
func enormous() map[string][]string {
	const size = 2 << 20
	return map[string][]string{
		"quotes":                     {strings.Repeat(`"`, size)},
		"backslashes":                {strings.Repeat(`\`, size)},
		"backslashes before a quote": {strings.Repeat(`\`, size) + `"`},
		"escaped quotes":             {strings.Repeat(`\"`, size/2)},
		"commas":                     {strings.Repeat(",", size)},
		"semicolons":                 {strings.Repeat(";", size)},
		"parameters":                 {strings.Repeat("a=b;", size/4)},
		"space":                      {strings.Repeat(" ", size)},
		"brackets":                   {strings.Repeat("[", size)},
		"colons":                     {strings.Repeat(":", size)},
		"a long zone":                {"for=fe80::1%" + strings.Repeat("z", size)},
		"many lines":                 strings.Split(strings.Repeat("x\n", size/2), "\n"),
		"many hops":                  {strings.Repeat("10.0.0.2,", size/9)},
	}
}

func TestAddress_EnormousHeadersTakeNoTime(t *testing.T) {
	for name, lines := range enormous() {
		for _, by := range []Header{XForwardedFor, Forwarded} {
			p := trusting(t, by)
			if got := p.Address(proxy, header(by, lines...)); got != addr("10.0.0.1") {
				t.Errorf("%s: %s in %s", name, got, by)
			}
			behind := add(lines, appended[by][0].element, 0)
			if got := p.Address(proxy, header(by, behind...)); got != addr(outside) {
				t.Errorf("%s before the client: %s in %s", name, got, by)
			}
		}
	}
}

// The bounds would hide it if the parts took more than linear time.
func TestCutLast_IsLinear(t *testing.T) {
	for name, lines := range enormous() {
		whole := strings.Join(lines, " ")
		if got := readForwarded(whole); got.IsValid() && name != "a long zone" {
			t.Errorf("%s: %s", name, got)
		}
		size := 0
		for rest, more := whole, true; more; {
			var element string
			rest, element, more = cutLast(rest, ',')
			size += len(element) + 1
		}
		if size != len(whole)+1 {
			t.Errorf("%s: %d bytes of %d came back", name, size-1, len(whole))
		}
	}
}
