package shape

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		name, header string
		values       []string
		want         string
	}{
		{"the body's type", "Content-Type", []string{"application/json; charset=utf-8"}, "content-type: application/json; charset=utf-8"},
		{"a parameter of the type is left out", "Content-Type", []string{"multipart/form-data; boundary=Zmark"}, "content-type: multipart/form-data"},
		{"a type that is none", "Content-Type", []string{"Zmark"}, "content-type: 1 value, 5 characters"},
		{"no body's type", "Content-Type", []string{""}, "content-type: 1 value, 0 characters"},
		{"types that are taken", "Accept", []string{"application/json, text/plain;q=0.5, */*"}, "accept: application/json, text/plain;q=0.5, */*"},
		{"encodings", "Accept-Encoding", []string{"gzip, deflate, br;q=0.9"}, "accept-encoding: gzip, deflate, br;q=0.9"},
		{"an encoding nobody knows", "Content-Encoding", []string{"gzip, zmark"}, "content-encoding: gzip"},
		{"a length", "Content-Length", []string{"258"}, "content-length: 258"},
		{"a length that is none", "Content-Length", []string{"258 Zmark"}, "content-length: 1 value, 9 characters"},
		{"a program", "User-Agent", []string{"axios/0.21.1"}, "user-agent: axios/0.21.1"},
		{"what follows a comment", "User-Agent", []string{`Mozilla/5.0 (Zmark's iPad \) Zmark/1) Zmark/2`}, "user-agent: Mozilla/5.0"},
		{"a program that may be a person", "User-Agent", []string{"Zmark zmark@example.com"}, "user-agent: 1 value, 23 characters"},
		{"the key", "X-Sine-Auth", []string{"ZmarkSecret"}, "x-sine-auth: 1 value, 11 characters"},
		{"a key with an accent", "X-Sine-Auth", []string{"Zmärk"}, "x-sine-auth: 1 value, 5 characters"},
		{"cookies", "Cookie", []string{"a=Zmark", "b=Zmark2"}, "cookie: 2 values, 7 characters, 8 characters"},
		{"an address", "X-Forwarded-For", []string{"198.51.100.7"}, "x-forwarded-for: 1 value, 12 characters"},
		{"a header of anybody's", "X-Zmark", nil, "x-zmark: 0 values"},
		{"a name that is none", "Zmark@Example.com", []string{"Zmark"}, "(masked): 1 value, 5 characters"},
		{"one value told, one not", "Accept-Encoding", []string{"gzip", "Zmark"}, "accept-encoding: 2 values, 4 characters, 5 characters; gzip"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Of(http.Header{c.header: c.values}, nil)
			if len(s.Headers) != 1 || s.Headers[0].text() != "header "+c.want {
				t.Errorf("%s, want header %s", s.Headers[0].text(), c.want)
			}
		})
	}
}

func TestSpellingsOfAHeaderAreOne(t *testing.T) {
	s := Of(http.Header{"x-a": {"12"}, "X-A": {"1"}, "B": {"123"}}, nil)
	var all []string
	for _, h := range s.Headers {
		all = append(all, h.text())
	}
	if got := strings.Join(all, "\n"); got != "header b: 1 value, 3 characters\nheader x-a: 2 values, 1 character, 2 characters" {
		t.Error(got)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	h := make(http.Header)
	for i := range 100 {
		h.Set(fmt.Sprintf("X-%d", i), "1")
	}
	for range 100 {
		h.Add("Accept", "text/plain")
	}
	s := Of(h, nil)
	if accept := s.Headers[0]; len(accept.Lengths) != 8 || len(accept.Values) != 8 || accept.Count != 100 {
		t.Errorf("%+v", accept)
	}
	if len(s.Headers) != 64 || s.Cut.Headers != 37 || !strings.HasSuffix(s.Text(), "left out: 37 headers\n") {
		t.Errorf("%d headers, cut %+v", len(s.Headers), s.Cut)
	}
}
