package clientip

import (
	"net/http"
	"strings"
	"testing"
)

func TestThePeer(t *testing.T) {
	for _, c := range []struct{ name, peer, want string }{
		{"an IPv4 address", "203.0.113.7:4711", "203.0.113.7"},
		{"an IPv6 address", "[2001:db8::1]:4711", "2001:db8::1"},
		{"no port", "203.0.113.7", "203.0.113.7"},
		{"an address with a zone", "[fe80::1%eth0]:4711", "fe80::1"},
		{"IPv4 in IPv6", "[::ffff:203.0.113.7]:4711", "203.0.113.7"},
		{"a Unix socket", "@", ""},
		{"a name", "localhost:4711", ""},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range []Proxies{{}, trusting(t, XForwardedFor), trusting(t, Forwarded)} {
				h := http.Header{string(XForwardedFor): {forged}, string(Forwarded): {"for=" + forged}}
				if got := p.Address(c.peer, h); got != addr(c.want) {
					t.Errorf("%s, trusting %v", got, p.Trusted)
				}
			}
		})
	}
}

func TestXForwardedFor(t *testing.T) {
	for _, c := range []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"one proxy", proxy, []string{outside}, outside},
		{"no header", proxy, nil, "10.0.0.1"},
		{"a trusted peer by IPv4 in IPv6", "[::ffff:10.0.0.1]:80", []string{outside}, outside},
		{"a trusted peer with a zone", "[fd00::1%eth0]:80", []string{outside}, outside},
		{"two proxies", proxy, []string{outside + ", 10.0.0.2"}, outside},
		{"no space and much space", proxy, []string{outside + ",10.0.0.2 \t,   10.0.0.3\t"}, outside},
		{"several lines", proxy, []string{forged, outside + ", 10.0.0.2", "10.0.0.3"}, outside},
		{"all are trusted", proxy, []string{"10.0.0.4, 10.0.0.3", "10.0.0.2"}, "10.0.0.4"},
		{"only trusted IPv6 addresses", "[fd00::1]:80", []string{"fd00::3, fd00::2"}, "fd00::3"},

		{"the caller sends the header, too", proxy, []string{forged + ", " + outside}, outside},
		{"the caller sends it in a line of its own", proxy, []string{forged, outside}, outside},
		{"the caller pretends to be behind a proxy", proxy, []string{forged + ", 10.0.0.9, " + outside}, outside},
		{"the caller sends garbage", proxy, []string{`"<script>,;\` + ", " + outside}, outside},
		{"the caller sends nothing between commas", proxy, []string{",,,, " + outside}, outside},
		{"the caller opens a quote", proxy, []string{`"`, outside + ", 10.0.0.2"}, outside},
		{"the caller is trusted itself", proxy, []string{forged + ", 10.9.9.9"}, forged},
		{"a peer that is not trusted", outside + ":4711", []string{forged}, outside},
		{"a peer that is not trusted and names a proxy", outside + ":4711", []string{forged + ", 10.0.0.1"}, outside},

		{"a proxy that does not know", proxy, []string{forged + ", unknown"}, "10.0.0.1"},
		{"a proxy that does not know, behind another", proxy, []string{forged + ", unknown, 10.0.0.2"}, "10.0.0.2"},
		{"a proxy that was called over a Unix socket", proxy, []string{forged + ", unix:"}, "10.0.0.1"},
		{"a proxy that says nothing", proxy, []string{forged + ", "}, "10.0.0.1"},
		{"a proxy that says nothing in a line of its own", proxy, []string{forged, ""}, "10.0.0.1"},
		{"a list that begins with a comma", proxy, []string{", 10.0.0.2"}, "10.0.0.2"},

		{"a port", proxy, []string{outside + ":5678"}, outside},
		{"an IPv6 address", proxy, []string{"2001:db8::1"}, "2001:db8::1"},
		{"an IPv6 address in brackets", proxy, []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"an IPv6 address and a port", proxy, []string{"[2001:db8::1]:5678"}, "2001:db8::1"},
		{"an IPv6 address with a zone", proxy, []string{"fe80::1%eth0"}, "fe80::1"},
		{"IPv4 in IPv6", proxy, []string{"::ffff:203.0.113.7"}, outside},
		{"a trusted proxy by IPv4 in IPv6", proxy, []string{outside + ", ::ffff:10.0.0.2"}, outside},
		{"a trusted proxy with a port", proxy, []string{outside + ", 10.0.0.2:80, [fd00::2]:80"}, outside},

		{"IPv4 in brackets", proxy, []string{"[203.0.113.7]"}, "10.0.0.1"},
		{"a bracket that does not close", proxy, []string{"[2001:db8::1"}, "10.0.0.1"},
		{"something after the bracket", proxy, []string{"[2001:db8::1]80"}, "10.0.0.1"},
		{"an empty port", proxy, []string{outside + ":"}, "10.0.0.1"},
		{"an empty port after a bracket", proxy, []string{"[2001:db8::1]:"}, "10.0.0.1"},
		{"a port that is none", proxy, []string{outside + ":65536"}, "10.0.0.1"},
		{"a port that is a name", proxy, []string{outside + ":http"}, "10.0.0.1"},
		{"a prefix", proxy, []string{outside + "/32"}, "10.0.0.1"},
		{"an octet too many", proxy, []string{outside + ".1"}, "10.0.0.1"},
		{"an octet with a leading zero", proxy, []string{"203.0.113.07"}, "10.0.0.1"},
		{"an address in quotes", proxy, []string{`"` + outside + `"`}, "10.0.0.1"},
		{"a zone with a quote", proxy, []string{`fe80::6%,"`}, "10.0.0.1"},
		{"two addresses without a comma", proxy, []string{forged + " " + outside}, "10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range []Proxies{trusting(t, ""), trusting(t, XForwardedFor)} {
				h := header(XForwardedFor, c.lines...)
				h.Set("Forwarded", "for="+forged)
				if got := p.Address(c.peer, h); got != addr(c.want) {
					t.Errorf("%s, want %s", got, c.want)
				}
			}
		})
	}
}

func TestTheHeaderIsLeftAsItWas(t *testing.T) {
	lines := []string{forged + ", " + outside, "10.0.0.3 , 10.0.0.2"}
	h := header(XForwardedFor, lines...)
	trusting(t, XForwardedFor).Address(proxy, h)
	if got := strings.Join(h["X-Forwarded-For"], "|"); got != forged+", "+outside+"|10.0.0.3 , 10.0.0.2" {
		t.Error(got)
	}
}

func TestHeaderNames(t *testing.T) {
	for _, c := range []struct {
		name string
		want Header
	}{
		{"X-Forwarded-For", XForwardedFor},
		{"x-forwarded-for", XForwardedFor},
		{"FORWARDED", Forwarded},
		{"X-Real-IP", ""},
		{"", ""},
	} {
		got, err := ParseHeader(c.name)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v", c.name, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "write X-Forwarded-For or Forwarded") {
			t.Errorf("%q: %v", c.name, err)
		}
	}
}
