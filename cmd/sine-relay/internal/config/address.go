package config

import (
	"net/netip"
	"strings"

	"github.com/sine-relay/sine-relay/relay/clientip"
)

// What becomes of calls that came by plain http.
const (
	PlainHTTPCount  = "count"
	PlainHTTPRefuse = "refuse"
)

// checkProxies reads who may say where a call comes from.
func (s *Settings) checkProxies(f *Faults) {
	var entries []string
	for entry := range strings.SplitSeq(s.TrustedProxies, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	trusted, err := clientip.ParsePrefixes(entries)
	if err != nil {
		f.setting("TRUSTED_PROXIES", "%s", oneLine(err))
	}
	for _, prefix := range trusted {
		if prefix.Bits() == 0 {
			f.setting("TRUSTED_PROXIES", "%s is everybody: any caller could claim any address", prefix)
		}
	}
	header, err := clientip.ParseHeader(s.ForwardedHeader)
	if err != nil {
		f.setting("FORWARDED_HEADER", "%v", err)
	}
	if s.PlainHTTP != PlainHTTPCount && s.PlainHTTP != PlainHTTPRefuse {
		f.setting("PLAIN_HTTP", "%q is neither count nor refuse", s.PlainHTTP)
	}
	s.Proxies = clientip.Proxies{Trusted: trusted, Header: header}
}

// allowFrom keeps an empty list apart from none: it undoes a default.
func (p place) allowFrom(entries []string) []netip.Prefix {
	if entries == nil {
		return nil
	}
	allowed, err := clientip.ParsePrefixes(entries)
	if err != nil {
		p.add("allowFrom", "%s", oneLine(err))
	}
	return append([]netip.Prefix{}, allowed...)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
