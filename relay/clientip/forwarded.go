package clientip

import (
	"net/netip"
	"strings"
)

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
