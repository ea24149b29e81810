package clientip

import (
	"iter"
	"net/netip"
	"strconv"
	"strings"
)

// How much of a chain is looked at. Real ones are a few proxies long.
const (
	maxElements = 32
	maxBytes    = 8 << 10
)

const space = " \t"

// fromRight yields the elements of a list that may be spread over several lines
// of a header, the last element first, as far as the bounds allow.
//
// Empty elements are not passed over, though RFC 9110 would have it: a proxy that
// has nothing to say of its client must not lead to what that client said.
func fromRight(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		list := strings.Join(lines, ",")
		whole := len(list) <= maxBytes
		list = list[max(0, len(list)-maxBytes):]
		for range maxElements {
			rest, element, more := cutLast(list, ',')
			if !more && !whole {
				return // the element may have lost its beginning
			}
			if !yield(strings.Trim(element, space)) || !more {
				return
			}
			list = rest
		}
	}
}

// cutLast cuts s around the last separator outside a quoted string, in linear
// time.
//
// It reads from the right, since the right end was written by those who are
// trusted. Read from the left, a quote that a client opens and does not close
// would swallow what a proxy adds.
func cutLast(s string, separator byte) (before, after string, found bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && !escaped(s[:i]):
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return "", s, false
}

// escaped reports whether what follows before is escaped by its end. A quote
// that opens a string follows "=" and never is.
func escaped(before string) bool {
	backslashes := len(before) - len(strings.TrimRight(before, `\`))
	return backslashes%2 == 1
}

// readForwarded returns the address that one element of Forwarded names as the
// one that called the proxy, or the zero Addr.
func readForwarded(element string) netip.Addr { return readNode(readParameter(element, "for")) }

// readParameter returns a parameter of an element of Forwarded, or nothing where
// the element cannot be read or has it twice.
func readParameter(element, wanted string) (found string) {
	for seen, more := false, true; more; {
		var pair string
		element, pair, more = cutLast(element, ';')
		if pair = strings.Trim(pair, space); pair == "" {
			continue // RFC 7239 lets semicolons stand alone
		}
		name, value, ok := cutPair(pair)
		isWanted := strings.EqualFold(name, wanted)
		if !ok || isWanted && seen {
			return ""
		}
		if isWanted {
			found, seen = value, true
		}
	}
	return found
}

// cutPair cuts a parameter into its name and its value without quotes. Escaped
// characters stay escaped: no address needs them.
func cutPair(pair string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(pair, "=")
	if !ok || name == "" {
		return "", "", false
	}
	inner, quoted := strings.CutPrefix(value, `"`)
	if !quoted {
		return name, value, !strings.Contains(value, `"`)
	}
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '\\':
			i++
		case '"':
			return name, inner[:i], i == len(inner)-1
		}
	}
	return "", "", false
}

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
	return normalize(addr)
}

// normalize returns an address as it is compared: no IPv4 in IPv6, no zone.
func normalize(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

const portName = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-"

func isPort(s string) bool {
	if name, hidden := strings.CutPrefix(s, "_"); hidden {
		return name != "" && strings.Trim(name, portName) == ""
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
