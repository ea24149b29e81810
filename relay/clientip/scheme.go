package clientip

import (
	"iter"
	"net/http"
	"strings"
)

// XForwardedProto is where proxies that set X-Forwarded-For say by which scheme
// they were called.
const XForwardedProto = "X-Forwarded-Proto"

// PlainHTTP reports whether a trusted proxy says that the call came to it by http:
// the outermost of those whose word counts, see [Proxies.Address]. A proxy within
// may be called by http from one that was called by https.
//
// Nobody's word is unknown, which is not http: a listener without TLS may stand
// behind something that ends TLS and says nothing.
func (p Proxies) PlainHTTP(remoteAddr string, h http.Header) bool {
	if !p.Trusts(remoteAddr) {
		return false
	}
	if p.Header == Forwarded {
		return strings.EqualFold(p.forwardedProto(h), "http")
	}
	return strings.EqualFold(p.xForwardedProto(h), "http")
}

// forwardedProto is the word of the outermost proxy that is trusted.
func (p Proxies) forwardedProto(h http.Header) (proto string) {
	for element := range fromRight(h.Values(string(Forwarded))) {
		proto = readParameter(element, "proto")
		if before := readForwarded(element); !before.IsValid() || !contains(p.Trusted, before) {
			break
		}
	}
	return proto
}

// xForwardedProto: most proxies set the header anew, and some add to it as to
// X-Forwarded-For. Where it has an element for each of that header's, they belong
// together; else only the last one is surely the word of a trusted proxy.
func (p Proxies) xForwardedProto(h http.Header) string {
	protos := collect(fromRight(h.Values(XForwardedProto)))
	chain := collect(fromRight(h.Values(string(XForwardedFor))))
	if len(protos) == 0 {
		return ""
	}
	outermost := 0
	if len(protos) == len(chain) {
		for outermost < len(chain)-1 && contains(p.Trusted, readNode(chain[outermost])) {
			outermost++
		}
	}
	return protos[outermost]
}

func collect(elements iter.Seq[string]) (all []string) {
	for e := range elements {
		all = append(all, e)
	}
	return all
}
