// Package clientip finds out where an HTTP request comes from: the client's true
// address behind proxies, whether an allow-list contains it, and whether the client
// has failed to authenticate too often.
//
// It promises that nothing which only the client itself says is believed, and that
// no client can make it keep or look at more than a fixed amount. Which requests are
// checked, and how a refused one is answered and counted, is left to others.
package clientip

import (
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"strings"
)

// Header names the HTTP header in which proxies say whose request they pass on.
type Header string

const (
	// XForwardedFor is a list of addresses, with or without a port.
	XForwardedFor Header = "X-Forwarded-For"
	// Forwarded is the header of RFC 7239, of which the parameter "for" is
	// read.
	Forwarded Header = "Forwarded"
)

// ParseHeader returns the header of that name, in capitals or not. The error
// says which names there are.
func ParseHeader(name string) (Header, error) {
	for _, h := range []Header{XForwardedFor, Forwarded} {
		if strings.EqualFold(name, string(h)) {
			return h, nil
		}
	}
	return "", fmt.Errorf("%q is not a header that says where a request comes from; write %s or %s", name, XForwardedFor, Forwarded)
}

// Proxies are those that are believed about where a request comes from. The zero
// value believes nobody.
type Proxies struct {
	// Trusted is where the proxies connect from, as [ParsePrefixes] returns it.
	// Every one of them must add the address that called it at the end of
	// Header, or set Header anew: through one that passes Header on as it
	// came, a client can claim to be anybody. So can whoever else connects from
	// one of these addresses.
	Trusted []netip.Prefix
	// Header is the one that the proxies set, XForwardedFor when empty. The
	// other is never looked at: no proxy vouches for it.
	Header Header
}

// Trusts reports whether the peer is trusted, given its address as net/http has it.
func (p Proxies) Trusts(remoteAddr string) bool { return contains(p.Trusted, readNode(remoteAddr)) }

// Address returns where a request comes from, given the address of its
// connection's other end, the peer, as net/http has it. That is the peer, unless
// the peer is trusted; then it is the right-most address in the header that is
// not trusted, or the left-most when all are.
//
// An element of the header is believed because the trusted proxy to its right
// wrote it. One that is not an address (unknown, hidden, empty, garbage) ends the
// walk to the left, and so does a chain of more than 32 elements or 8 KiB. The
// answer is then the last trusted address, so that clients may share that of a
// proxy, and never one that nobody vouches for.
//
// An IPv4 address mapped into IPv6 is returned as IPv4, and none has a zone. The
// zero Addr stands for a peer that has no address, as on a Unix socket.
func (p Proxies) Address(remoteAddr string, h http.Header) netip.Addr {
	addr := readNode(remoteAddr)
	if !contains(p.Trusted, addr) {
		return addr
	}
	header, read := XForwardedFor, readNode
	if p.Header == Forwarded {
		header, read = Forwarded, readForwarded
	}
	for element := range fromRight(h.Values(string(header))) {
		before := read(element)
		if !before.IsValid() {
			break
		}
		addr = before
		if !contains(p.Trusted, addr) {
			break
		}
	}
	return addr
}

// MissingReason says why a trusted proxy passes a request on without the address of
// the client, or is empty. A request of Sine's has none where the proxy does not write
// the header: whatever another request has in it there, the client wrote.
type MissingReason string

const (
	// NoHeader: the header is missing.
	NoHeader MissingReason = "no_header"
	// OtherHeader: it is missing, and the header is there that is not looked at.
	OtherHeader MissingReason = "other_header"
	// NoAddress: its last element is not an address.
	NoAddress MissingReason = "no_address"
	// OnlyProxies: all its addresses are those of trusted proxies.
	OnlyProxies MissingReason = "only_proxies"
)

// MissingReason looks for the client's address as [Proxies.Address] does.
func (p Proxies) MissingReason(remoteAddr string, h http.Header) MissingReason {
	if !p.Trusts(remoteAddr) || !contains(p.Trusted, p.Address(remoteAddr, h)) {
		return ""
	}
	header, other, read := XForwardedFor, Forwarded, readNode
	if p.Header == Forwarded {
		header, other, read = Forwarded, XForwardedFor, readForwarded
	}
	values := h.Values(string(header))
	switch {
	case len(values) == 0 && len(h.Values(string(other))) > 0:
		return OtherHeader
	case len(values) == 0:
		return NoHeader
	}
	for last := range fromRight(values) {
		if !read(last).IsValid() {
			return NoAddress
		}
		return OnlyProxies
	}
	return NoAddress
}

// XForwardedProto is where proxies that set X-Forwarded-For say by which scheme
// they were called.
const XForwardedProto = "X-Forwarded-Proto"

// PlainHTTP reports whether a trusted proxy says that the request came to it by http:
// the outermost of those whose statement counts, see [Proxies.Address]. A proxy within
// may be called by http from one that was called by https.
//
// Where nobody says so, the scheme is unknown, which is not http: a listener without TLS may stand
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

// forwardedProto is what the outermost trusted proxy says.
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
// together; else only the last one is surely from a trusted proxy.
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
