package clientip

import (
	"net/http"
	"net/netip"
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
