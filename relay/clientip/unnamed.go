package clientip

import "net/http"

// Unnamed says why a trusted peer passes a call on without the address of a caller,
// or is empty. A call of Sine's has none where the proxy does not write the header:
// whatever another call has in it there, the caller wrote.
type Unnamed string

const (
	// NoHeader: the header is missing.
	NoHeader Unnamed = "no_header"
	// OtherHeader: it is missing, and the header is there that is not looked at.
	OtherHeader Unnamed = "other_header"
	// NoAddress: its last element is not an address.
	NoAddress Unnamed = "no_address"
	// OnlyProxies: all its addresses are those of trusted proxies.
	OnlyProxies Unnamed = "only_proxies"
)

// Unnamed looks for a caller's address as [Proxies.Address] does.
func (p Proxies) Unnamed(remoteAddr string, h http.Header) Unnamed {
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
