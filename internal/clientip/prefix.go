package clientip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Allowed reports whether an allow-list, as [ParsePrefixes] returns it, lets an
// address in. An empty list allows everybody, and any other never allows the
// zero Addr.
func Allowed(list []netip.Prefix, addr netip.Addr) bool {
	return len(list) == 0 || contains(list, addr)
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = normalize(addr) // or no prefix would contain it
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// ParsePrefixes reads addresses and prefixes (CIDR) that an operator wrote, white
// space around them aside. The error joins one for each invalid entry, which
// names it and says what would be right.
func ParsePrefixes(entries []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	var errs []error
	for _, entry := range entries {
		p, err := parsePrefix(strings.TrimSpace(entry))
		prefixes, errs = append(prefixes, p), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return prefixes, nil
}

func parsePrefix(entry string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(entry); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	// What cannot be parsed is the zero Prefix, which is not valid.
	p, _ := netip.ParsePrefix(entry)
	if addr := p.Addr(); addr.Is4In6() {
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
	}
	if !p.IsValid() {
		return p, noPrefix(entry)
	}
	if whole := p.Masked(); whole != p {
		return p, fmt.Errorf("%s: host bits are set; did you mean %s?", entry, whole)
	}
	return p, nil
}

func noPrefix(entry string) error {
	return fmt.Errorf("%q is neither an address nor a prefix; %s", entry, proposal(entry))
}

// proposal says what to write instead of what has a port, brackets or a zone, or
// is not an address at all.
func proposal(entry string) string {
	head, bits, slash := strings.Cut(entry, "/")
	addr := readNode(head)
	if !addr.IsValid() {
		return "write for example 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"
	}
	if !slash {
		return fmt.Sprintf("did you mean %s?", addr)
	}
	p, err := netip.ParsePrefix(addr.String() + "/" + bits)
	if err != nil {
		return fmt.Sprintf("after the slash goes a number from 0 to %d", addr.BitLen())
	}
	return fmt.Sprintf("did you mean %s?", p.Masked())
}

// Network is an address made short, for a log: the network of 256 addresses that
// an IPv4 address is in, the /48 of an IPv6 address, and "unknown" for the zero
// Addr. It shows where to look for what is misconfigured, and not whose
// address it was.
func Network(addr netip.Addr) string {
	addr = normalize(addr)
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

// Client returns the address that stands for all of a client: an IPv4 address, or
// the /64 of an IPv6 address, of which one customer has all.
func Client(addr netip.Addr) netip.Addr {
	addr = normalize(addr)
	if !addr.Is6() {
		return addr
	}
	network, err := addr.Prefix(64)
	if err != nil {
		panic(err) // 64 bits are in every IPv6 address
	}
	return network.Addr()
}
