package clientip

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// Addresses of the tests: everything in 10.0.0.0/8 and fd00::/8 is a trusted
// proxy's.
const (
	proxy   = "10.0.0.1:4711"
	outside = "203.0.113.7"
	forged  = "6.6.6.6"
)

func prefixes(t testing.TB, entries ...string) []netip.Prefix {
	t.Helper()
	list, err := ParsePrefixes(entries)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func trusting(t testing.TB, header Header) Proxies {
	t.Helper()
	return Proxies{Trusted: prefixes(t, "10.0.0.0/8", "fd00::/8"), Header: header}
}

func header(name Header, lines ...string) http.Header {
	return http.Header{string(name): lines}
}

// addr is the address written, or the zero Addr for "".
func addr(written string) netip.Addr {
	if written == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(written)
}

func TestAddress_OfThePeer(t *testing.T) {
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

func TestAddress_ByXForwardedFor(t *testing.T) {
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

		{"the client sends the header, too", proxy, []string{forged + ", " + outside}, outside},
		{"the client sends it in a line of its own", proxy, []string{forged, outside}, outside},
		{"the client pretends to be behind a proxy", proxy, []string{forged + ", 10.0.0.9, " + outside}, outside},
		{"the client sends garbage", proxy, []string{`"<script>,;\` + ", " + outside}, outside},
		{"the client sends nothing between commas", proxy, []string{",,,, " + outside}, outside},
		{"the client opens a quote", proxy, []string{`"`, outside + ", 10.0.0.2"}, outside},
		{"the client is trusted itself", proxy, []string{forged + ", 10.9.9.9"}, forged},
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

func TestAddress_LeavesTheHeaderAsItWas(t *testing.T) {
	lines := []string{forged + ", " + outside, "10.0.0.3 , 10.0.0.2"}
	h := header(XForwardedFor, lines...)
	trusting(t, XForwardedFor).Address(proxy, h)
	if got := strings.Join(h["X-Forwarded-For"], "|"); got != forged+", "+outside+"|10.0.0.3 , 10.0.0.2" {
		t.Error(got)
	}
}

func TestParseHeader_KnowsTwoHeadersInAnyCase(t *testing.T) {
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

func TestAddress_ByForwarded(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"one proxy", []string{"for=203.0.113.7"}, outside},
		{"no header", nil, "10.0.0.1"},
		{"in quotes", []string{`for="203.0.113.7"`}, outside},
		{"a port", []string{`for="203.0.113.7:5678"`}, outside},
		{"a port without quotes", []string{`for=203.0.113.7:5678`}, outside},
		{"a hidden port", []string{`for="203.0.113.7:_p.0-_"`}, outside},
		{"an IPv6 address", []string{`for="[2001:db8::1]"`}, "2001:db8::1"},
		{"an IPv6 address and a port", []string{`for="[2001:db8::1]:4711"`}, "2001:db8::1"},
		{"an IPv6 address and a hidden port", []string{`for="[2001:db8::1]:_x"`}, "2001:db8::1"},
		{"an IPv6 address without quotes", []string{`for=[2001:db8::1]`}, "2001:db8::1"},
		{"capitals", []string{"FOR=203.0.113.7;Proto=https"}, outside},
		{"among other parameters", []string{`by=_x;proto=https;for=203.0.113.7;host="a.example:80"`}, outside},
		{"space around a semicolon", []string{`for=203.0.113.7 ; proto=https`}, outside},
		{"semicolons that stand alone", []string{`;for=203.0.113.7;;proto=https;`}, outside},
		{"two proxies", []string{`for=203.0.113.7, for=10.0.0.2;by=10.0.0.1`}, outside},
		{"several lines", []string{`for=6.6.6.6`, `for=203.0.113.7,for="[fd00::2]"`, `for=10.0.0.3`}, outside},
		{"all are trusted", []string{`for=10.0.0.3, for=10.0.0.2`}, "10.0.0.3"},
		{"a comma in quotes", []string{`for=203.0.113.7;host="a, for=6.6.6.6"`}, outside},
		{"a semicolon in quotes", []string{`for=203.0.113.7;host="a;for=6.6.6.6"`}, outside},
		{"an escaped quote in quotes", []string{`for=203.0.113.7;host="a\", for=6.6.6.6;b=\""`}, outside},
		{"an escaped backslash before the end of quotes", []string{`for=203.0.113.7;host="a\\", for=10.0.0.2;host="\\"`}, outside},

		{"the client sends the header, too", []string{`for=6.6.6.6, for=203.0.113.7`}, outside},
		{"the client sends it in a line of its own", []string{`for=6.6.6.6`, `for=203.0.113.7`}, outside},
		{"the client opens a quote", []string{`for=6.6.6.6;x=", for=203.0.113.7`}, outside},
		{"the client opens a quote, and the proxy uses quotes", []string{`for="6.6.6.6, for="203.0.113.7"`}, outside},
		{"the client opens a quote before several parameters", []string{`for=6.6.6.6;x=", by="_a";for="[2001:db8::1]";host="b"`}, "2001:db8::1"},
		{"the client ends with a backslash", []string{`for=6.6.6.6;x="\, for="203.0.113.7"`}, outside},
		{"the client sends what the other header holds", []string{`6.6.6.6, for=203.0.113.7`}, outside},
		{"the client is trusted itself", []string{`for=6.6.6.6, for=10.9.9.9`}, forged},

		{"a hidden client", []string{`for=6.6.6.6, for=_hidden`}, "10.0.0.1"},
		{"an unknown client", []string{`for=6.6.6.6, for=unknown`}, "10.0.0.1"},
		{"an unknown client behind two proxies", []string{`for=6.6.6.6, for="unknown", for=10.0.0.2`}, "10.0.0.2"},
		{"no for", []string{`for=6.6.6.6, proto=https;by=203.0.113.7`}, "10.0.0.1"},
		{"an empty for", []string{`for=6.6.6.6, for=`}, "10.0.0.1"},
		{"an empty for in quotes", []string{`for=6.6.6.6, for=""`}, "10.0.0.1"},
		{"an empty element", []string{`for=6.6.6.6, `}, "10.0.0.1"},
		{"for twice", []string{`for=6.6.6.6;for=203.0.113.7`}, "10.0.0.1"},
		{"for twice, once unknown", []string{`for=6.6.6.6;for=unknown`}, "10.0.0.1"},
		{"a parameter without a value", []string{`for=203.0.113.7;proto`}, "10.0.0.1"},
		{"a parameter without a name", []string{`for=203.0.113.7;=https`}, "10.0.0.1"},
		{"space around the equals sign", []string{`for = 203.0.113.7`}, "10.0.0.1"},
		{"a quote that does not close", []string{`for="203.0.113.7`}, "10.0.0.1"},
		{"a quote that does not open", []string{`for=203.0.113.7"`}, "10.0.0.1"},
		{"quotes in quotes", []string{`for="[fe80::1%"x"]"`}, "10.0.0.1"},
		{"something after the quotes", []string{`for="203.0.113.7"x`}, "10.0.0.1"},
		{"another parameter's quotes are odd", []string{`for=203.0.113.7;proto=ht"tp`}, "10.0.0.1"},
		{"another parameter's quotes are in the middle", []string{`for=203.0.113.7;proto=ht"t"p`}, "10.0.0.1"},
		{"an escaped digit", []string{`for="203.0.113.\7"`}, "10.0.0.1"},
		{"a bare address", []string{outside}, "10.0.0.1"},
		{"a port that is no name either", []string{`for="203.0.113.7:_"`}, "10.0.0.1"},
		{"a hidden port with odd characters", []string{`for="203.0.113.7:_a/b"`}, "10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := header(Forwarded, c.lines...)
			h.Set("X-Forwarded-For", forged)
			if got := trusting(t, Forwarded).Address(proxy, h); got != addr(c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestPlainHTTP_IsDetectedByTrustedHeaders(t *testing.T) {
	trusted := prefixes(t, "10.0.0.0/8")
	h := func(pairs ...string) http.Header {
		all := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			all.Add(pairs[i], pairs[i+1])
		}
		return all
	}
	const xff, xfp, forwarded = "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"
	for _, c := range []struct {
		name   string
		peer   string
		header Header
		h      http.Header
		plain  bool
	}{
		{"nobody says anything", "10.0.0.1", "", h(), false},
		{"a trusted proxy says http", "10.0.0.1", "", h(xff, outside, xfp, "http"), true},
		{"in capitals", "10.0.0.1", "", h(xff, outside, xfp, "HTTP"), true},
		{"it says https", "10.0.0.1", "", h(xff, outside, xfp, "https"), false},
		{"without an address", "10.0.0.1", "", h(xfp, "http"), true},
		{"it says something else", "10.0.0.1", "", h(xff, outside, xfp, "gopher"), false},
		{"a client that is not trusted says http", outside, "", h(xff, outside, xfp, "http"), false},
		{"https outside, http within", "10.0.0.1", "", h(xff, outside+", 10.0.0.2", xfp, "https, http"), false},
		{"http outside, https within", "10.0.0.1", "", h(xff, outside+", 10.0.0.2", xfp, "http, https"), true},
		{"the client claims https before a proxy adds http", "10.0.0.1", "", h(xff, "192.0.2.9, "+outside, xfp, "https, http"), true},
		{"the client claims http before a proxy adds https", "10.0.0.1", "", h(xff, "192.0.2.9, "+outside, xfp, "http, https"), false},
		{"the inner proxy alone sets it", "10.0.0.1", "", h(xff, outside+", 10.0.0.2", xfp, "http"), true},
		{"lists of other lengths: the last word counts", "10.0.0.1", "", h(xff, outside, xfp, "http, https"), false},
		{"on two lines", "10.0.0.1", "", h(xff, outside, xff, "10.0.0.2", xfp, "http", xfp, "https"), true},
		{"all are trusted", "10.0.0.1", "", h(xff, "10.0.0.3, 10.0.0.2", xfp, "http, https"), true},
		{"the other header is not looked at", "10.0.0.1", "", h(forwarded, "for="+outside+";proto=http"), false},
		{"the other way round", "10.0.0.1", Forwarded, h(xff, outside, xfp, "http"), false},
		{"Forwarded says http", "10.0.0.1", Forwarded, h(forwarded, "for="+outside+";proto=http"), true},
		{"Forwarded says it in quotes", "10.0.0.1", Forwarded, h(forwarded, `proto="http";for=`+outside), true},
		{"Forwarded says https outside, http within", "10.0.0.1", Forwarded, h(forwarded, "for="+outside+";proto=https, for=10.0.0.2;proto=http"), false},
		{"Forwarded says http outside, https within", "10.0.0.1", Forwarded, h(forwarded, "for="+outside+";proto=http, for=10.0.0.2;proto=https"), true},
		{"the client's own element of Forwarded", "10.0.0.1", Forwarded, h(forwarded, "for=192.0.2.9;proto=http, for="+outside+";proto=https"), false},
		{"Forwarded says it twice", "10.0.0.1", Forwarded, h(forwarded, "for="+outside+";proto=http;proto=https"), false},
		{"Forwarded says nothing of it", "10.0.0.1", Forwarded, h(forwarded, "for="+outside), false},
		{"Forwarded hides the address", "10.0.0.1", Forwarded, h(forwarded, "for=unknown;proto=http"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Proxies{Trusted: trusted, Header: c.header}
			if got := p.PlainHTTP(c.peer+":1234", c.h); got != c.plain {
				t.Errorf("plain: %t", got)
			}
		})
	}
}

func TestMissingReason_SaysWhyTheAddressIsMissing(t *testing.T) {
	const xff, forwarded = "X-Forwarded-For", "Forwarded"
	for _, c := range []struct {
		name   string
		peer   string
		header Header
		h      http.Header
		want   MissingReason
	}{
		{"the header is set", "10.0.0.1", "", http.Header{xff: {outside}}, ""},
		{"the header is missing", "10.0.0.1", "", http.Header{}, NoHeader},
		{"the peer is not trusted", outside, "", http.Header{}, ""},
		{"the peer is not trusted and says something", outside, "", http.Header{xff: {"10.0.0.1"}}, ""},
		{"only the other header is set", "10.0.0.1", "", http.Header{forwarded: {"for=" + outside}}, OtherHeader},
		{"the other way round", "10.0.0.1", Forwarded, http.Header{xff: {outside}}, OtherHeader},
		{"Forwarded is set", "10.0.0.1", Forwarded, http.Header{forwarded: {"for=" + outside}}, ""},
		{"Forwarded hides the client", "10.0.0.1", Forwarded, http.Header{forwarded: {"for=unknown"}}, NoAddress},
		{"the header is empty", "10.0.0.1", "", http.Header{xff: {""}}, NoAddress},
		{"the last element is not an address", "10.0.0.1", "", http.Header{xff: {outside + ", unknown"}}, NoAddress},
		{"the client's own element is not an address", "10.0.0.1", "", http.Header{xff: {"unknown, " + outside}}, ""},
		{"a node stands for everybody", "10.0.0.1", "", http.Header{xff: {"10.0.0.7"}}, OnlyProxies},
		{"a chain of proxies from outside", "10.0.0.1", "", http.Header{xff: {outside + ", 10.0.0.7"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Proxies{Trusted: prefixes(t, "10.0.0.0/8"), Header: c.header}
			if got := p.MissingReason(c.peer+":1234", c.h); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if got := (Proxies{}).MissingReason(c.peer+":1234", c.h); got != "" {
				t.Errorf("without trusted proxies: %q", got)
			}
		})
	}
}
