package clientip

import "net/netip"

// Network is an address made short, for a log: the network of 256 addresses that
// an IPv4 address is in, the /48 of an IPv6 address, and "unknown" for the zero
// Addr. It tells where to look for who misconfigured something, and not whose
// address it was.
func Network(addr netip.Addr) string {
	addr = plain(addr)
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.Prefix(bits)
	if err != nil || !addr.IsValid() {
		return "unknown"
	}
	return network.String()
}
