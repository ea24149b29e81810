package relay

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/relay/clientip"
)

// unnamedPause is between two log lines about proxies that name no caller: who set
// one up wrongly is to see it at once, and the log of a year is not to be full of it.
const unnamedPause = time.Hour

// unnamedCallers are webhooks with a valid key of which a trusted proxy does not say
// who called.
type unnamedCallers struct {
	mu     sync.Mutex
	logged time.Time
	count  int // since then
}

// unnamedRemedies say what is wrong with a proxy, and what would be right.
var unnamedRemedies = map[clientip.Unnamed]string{
	clientip.NoHeader:    "the proxy does not set the header: have it set the header anew",
	clientip.OtherHeader: "the proxy sets the other header: name that one by SINE_RELAY_FORWARDED_HEADER, and have the proxy set it anew",
	clientip.NoAddress:   "what ends the header is not an address: have the proxy write the address that called it",
	clientip.OnlyProxies: "every address in the header is that of a trusted proxy: trust only the proxies' own addresses, and have none of them called by way of another address of that network",
}

// noteUnnamed looks whether a proxy names the caller of a webhook with a valid key.
func (r *Relay) noteUnnamed(c *call, in *Integration, req *http.Request) {
	why := r.proxies.Unnamed(req.RemoteAddr, req.Header)
	if why == "" || c.synthetic {
		return
	}
	r.metrics.unnamed.WithLabelValues(in.Name).Inc()
	n := r.unnamed.due(time.Now())
	if n == 0 {
		return
	}
	header := r.proxies.Header
	if header == "" {
		header = clientip.XForwardedFor
	}
	peer, _ := netip.ParseAddrPort(req.RemoteAddr)
	r.log.Warn("a trusted proxy does not say who calls",
		"integration", in.Name, "proxy", clientip.Network(peer.Addr()), "header", string(header), "reason", string(why),
		"effect", "every call seems to come from the proxy; where it passes the header on as it came, a caller can claim any address",
		"remedy", unnamedRemedies[why], "webhooks", n)
}

// due counts one, and returns how many there were since the log last said so, or 0
// while it is not to say so again.
func (u *unnamedCallers) due(now time.Time) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count++
	if !u.logged.IsZero() && now.Sub(u.logged) < unnamedPause {
		return 0
	}
	n := u.count
	u.logged, u.count = now, 0
	return n
}
