// Package clientip knows who is calling: the true address of an HTTP caller behind
// proxies, whether an allow-list lets it in, and whether it has failed to
// authenticate too often.
//
// It promises that nothing which only the caller itself says is believed, and
// that no caller can make it keep or look at more than a fixed amount. What is
// asked of which call, and how a refused one is answered and counted, it leaves
// to others.
package clientip

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Header names the HTTP header in which proxies say whom they pass on.
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
	return "", fmt.Errorf("%q is not a header that says where a call comes from; write %s or %s", name, XForwardedFor, Forwarded)
}

// Proxies are those whose word on where a call comes from is taken. The zero
// value takes nobody's.
type Proxies struct {
	// Trusted is where the proxies call from, as [ParsePrefixes] returns it.
	// Every one of them must add the address that called it at the end of
	// Header, or set Header anew: through one that passes Header on as it
	// came, a caller can claim to be anybody. So can whoever else calls from
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
// answer is then the last trusted address, so that callers may share that of a
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
