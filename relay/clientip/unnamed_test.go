package clientip

import (
	"net/http"
	"testing"
)

func TestAProxyThatNamesNoCaller(t *testing.T) {
	const xff, forwarded = "X-Forwarded-For", "Forwarded"
	for _, c := range []struct {
		name   string
		peer   string
		header Header
		h      http.Header
		want   Unnamed
	}{
		{"the header is set", "10.0.0.1", "", http.Header{xff: {outside}}, ""},
		{"the header is missing", "10.0.0.1", "", http.Header{}, NoHeader},
		{"the peer is not trusted", outside, "", http.Header{}, ""},
		{"the peer is not trusted and says something", outside, "", http.Header{xff: {"10.0.0.1"}}, ""},
		{"only the other header is set", "10.0.0.1", "", http.Header{forwarded: {"for=" + outside}}, OtherHeader},
		{"the other way round", "10.0.0.1", Forwarded, http.Header{xff: {outside}}, OtherHeader},
		{"Forwarded is set", "10.0.0.1", Forwarded, http.Header{forwarded: {"for=" + outside}}, ""},
		{"Forwarded hides the caller", "10.0.0.1", Forwarded, http.Header{forwarded: {"for=unknown"}}, NoAddress},
		{"the header is empty", "10.0.0.1", "", http.Header{xff: {""}}, NoAddress},
		{"the last element is not an address", "10.0.0.1", "", http.Header{xff: {outside + ", unknown"}}, NoAddress},
		{"the caller's own element is not an address", "10.0.0.1", "", http.Header{xff: {"unknown, " + outside}}, ""},
		{"a node stands for everybody", "10.0.0.1", "", http.Header{xff: {"10.0.0.7"}}, OnlyProxies},
		{"a chain of proxies from outside", "10.0.0.1", "", http.Header{xff: {outside + ", 10.0.0.7"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Proxies{Trusted: prefixes(t, "10.0.0.0/8"), Header: c.header}
			if got := p.Unnamed(c.peer+":1234", c.h); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if got := (Proxies{}).Unnamed(c.peer+":1234", c.h); got != "" {
				t.Errorf("without trusted proxies: %q", got)
			}
		})
	}
}
