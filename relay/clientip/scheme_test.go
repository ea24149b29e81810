package clientip

import (
	"net/http"
	"testing"
)

func TestPlainHTTP(t *testing.T) {
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
		{"a caller that is not trusted says http", outside, "", h(xff, outside, xfp, "http"), false},
		{"https outside, http within", "10.0.0.1", "", h(xff, outside+", 10.0.0.2", xfp, "https, http"), false},
		{"http outside, https within", "10.0.0.1", "", h(xff, outside+", 10.0.0.2", xfp, "http, https"), true},
		{"the caller claims https before a proxy adds http", "10.0.0.1", "", h(xff, "192.0.2.9, "+outside, xfp, "https, http"), true},
		{"the caller claims http before a proxy adds https", "10.0.0.1", "", h(xff, "192.0.2.9, "+outside, xfp, "http, https"), false},
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
		{"the caller's own element of Forwarded", "10.0.0.1", Forwarded, h(forwarded, "for=192.0.2.9;proto=http, for="+outside+";proto=https"), false},
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

func TestAnAddressIsShortened(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7": "203.0.113.0/24", "::ffff:203.0.113.7": "203.0.113.0/24", "127.0.0.1": "127.0.0.0/24",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1::/48", "fe80::1%eth0": "fe80::/48", "": "unknown",
	} {
		if got := Network(addr(address)); got != want {
			t.Errorf("%q is shown as %s, want %s", address, got, want)
		}
	}
}
