package clientip

import (
	"net/netip"
	"strconv"
	"strings"
)

// readNode returns the address in a text such as 192.0.2.1, 192.0.2.1:80,
// 2001:db8::1, [2001:db8::1] or [2001:db8::1]:80, or the zero Addr. The port may
// be hidden as RFC 7239 has it, and is not returned.
func readNode(s string) netip.Addr {
	host, port, hasPort := s, "", false
	if inner, ok := strings.CutPrefix(s, "["); ok {
		var after string
		host, after, ok = strings.Cut(inner, "]")
		port, hasPort = strings.CutPrefix(after, ":")
		if !ok || !strings.Contains(host, ":") || !hasPort && after != "" {
			return netip.Addr{}
		}
	} else if strings.Count(s, ":") == 1 {
		host, port, hasPort = strings.Cut(s, ":")
	}
	if hasPort && !isPort(port) {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || strings.Contains(addr.Zone(), `"`) {
		// A zone may be any text, but a quote hides commas from cutLast.
		return netip.Addr{}
	}
	return plain(addr)
}

// plain returns an address as it is compared: no IPv4 in IPv6, no zone.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

const portName = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-"

func isPort(s string) bool {
	if name, hidden := strings.CutPrefix(s, "_"); hidden {
		return name != "" && strings.Trim(name, portName) == ""
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
