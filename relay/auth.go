package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/relay/clientip"
)

// headerKey is where Sine puts the API key.
const headerKey = "X-Sine-Auth"

// authenticate returns the name of the integration's key that the header holds,
// or the reason why the call is not let in. It costs the same time for an
// unknown integration and a wrong key, and the caller is told no difference. The
// key comes before the question whether it came by plain http: only of a valid one
// is it true that it must be changed.
func (r *Relay) authenticate(in *Integration, req *http.Request) (key, reason string) {
	presented := req.Header.Get(headerKey)
	keys := nobody
	if in != nil && len(in.Keys) > 0 {
		keys = in.Keys
	}
	switch match := matchKey(keys, presented); {
	case in == nil:
		return "", reasonUnknownIntegration
	case in.Broken:
		return "", reasonBroken
	case len(in.Keys) == 0:
		return "", reasonNoKey
	case strings.TrimSpace(presented) == "":
		return "", reasonMissingKey
	case match < 0:
		return "", reasonWrongKey
	case !clientip.Allowed(in.AllowFrom, r.proxies.Address(req.RemoteAddr, req.Header)):
		return "", reasonAddress
	default:
		return in.Keys[match].Name(), ""
	}
}

// unauthorized answers a call that is not let in. Only such calls are limited: a
// valid key never is, since Sine calls from few addresses, in bursts.
func (r *Relay) unauthorized(c *call, req *http.Request, reason string) answer {
	from := r.proxies.Address(req.RemoteAddr, req.Header)
	c.refused = &refusal{reason: reason, from: clientip.Network(from)}
	if r.failures.Blocked(from, time.Now()) {
		return errorAnswer(outcomeBlocked)
	}
	return errorAnswer(outcomeUnauthorized)
}

// Key is an API key that Sine sends with every call. It keeps a digest only,
// so that no log line or dump can show the key.
type Key struct {
	name   string
	digest [sha256.Size]byte
}

// NewKey makes a key from what an operator configured. White space around it is
// a common slip when a key is copied, and is dropped. The name is what people
// call the key, for example "2026-spring"; it is not secret.
func NewKey(name, secret string) Key {
	return Key{name: name, digest: sha256.Sum256([]byte(strings.TrimSpace(secret)))}
}

// Name is what people call the key.
func (k Key) Name() string { return k.name }

// matchKey returns the place of the presented key among keys, or -1, in a time
// that depends on their number alone.
func matchKey(keys []Key, presented string) int {
	digest := sha256.Sum256([]byte(strings.TrimSpace(presented)))
	match := -1
	for i, k := range keys {
		match = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(k.digest[:], digest[:]), i, match)
	}
	return match
}

// nobody's key is compared with when the integration is unknown, so that the
// answer takes as long as for a wrong key.
var nobody = []Key{{}}

// HeaderKeyDigest carries the digest of an API key, see [Relay.KeyCheck].
const HeaderKeyDigest = "Sine-Relay-Key-Digest"

// Digest names the key to a relay without the key itself crossing the network.
func (k Key) Digest() string { return hex.EncodeToString(k.digest[:]) }

// KeyCheck says whether a relay accepts a key: GET /sine/{integration} with the digest
// of the key is answered 204 if it does, else 401, whether the integration is known or
// not, and 429 for an address that fails again and again. Nothing else comes of it: the
// key does not count as used. It is for the admin listener.
func (r *Relay) KeyCheck() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		digest, err := hex.DecodeString(req.Header.Get(HeaderKeyDigest))
		if err != nil || len(digest) == 0 {
			http.Error(w, "A check of a key has the header "+HeaderKeyDigest+" with the SHA-256 of the key in hexadecimal.", http.StatusBadRequest)
			return
		}
		accepted := 0
		if in := r.book.Load().integrations[strings.TrimPrefix(req.URL.Path, "/sine/")]; in != nil && !in.Broken {
			for _, k := range in.Keys {
				accepted |= subtle.ConstantTimeCompare(k.digest[:], digest)
			}
		}
		switch {
		case accepted == 1:
			w.WriteHeader(http.StatusNoContent)
		case r.failures.Blocked(r.proxies.Address(req.RemoteAddr, req.Header), time.Now()):
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// keyUse shows when each key was last used, and how many keys and which site each
// integration has. It shows the keys in force and no other, so that an operator who changes a key sees which relays already have
// the new one, and which still have the old one.
type keyUse struct {
	inForce atomic.Pointer[map[keyName]*usedKey]
	shown   atomic.Pointer[map[string]shownIntegration]
}

// shownIntegration is what is shown of an integration beside its keys' use.
type shownIntegration struct {
	keys int
	site string
}

// keyName is an integration's name and what people call its key.
type keyName struct{ integration, key string }

// usedKey is a key and when it was last used, in milliseconds since 1970, or 0.
type usedKey struct {
	Key
	last atomic.Int64
}

var keyLastUsed = prometheus.NewDesc("sine_relay_api_key_last_used_timestamp_seconds",
	"Time of the last webhook with this key, by what people call it, 0 if there was none. There is one for each key in force.", []string{"integration", "api_key"}, nil)

var keyCount = prometheus.NewDesc("sine_relay_integration_api_keys",
	"API keys of an integration that are in force; without one, all its calls are answered 401.", []string{"integration"}, nil)

var integrationInfo = prometheus.NewDesc("sine_relay_integration_info",
	"Always 1; the site of each integration.", []string{"integration", "site"}, nil)

func newKeyUse(reg prometheus.Registerer) *keyUse {
	u := &keyUse{}
	u.shown.Store(&map[string]shownIntegration{})
	u.inForce.Store(&map[keyName]*usedKey{})
	reg.MustRegister(u)
	return u
}

// change shows the keys of these integrations from now on. It follows the change
// itself, so that no key is shown before it is valid. It must not run twice at
// once. Keys that are called by their places may change them: the time belongs to
// the key.
func (u *keyUse) change(integrations map[string]*Integration) {
	type identity struct {
		integration string
		digest      [sha256.Size]byte
	}
	before := map[identity]*usedKey{}
	for name, k := range *u.inForce.Load() {
		before[identity{name.integration, k.digest}] = k
	}
	now, shown := map[keyName]*usedKey{}, map[string]shownIntegration{}
	for _, in := range integrations {
		shown[in.Name] = shownIntegration{len(in.Keys), in.Site}
		for _, key := range in.Keys {
			k := before[identity{in.Name, key.digest}]
			if k == nil {
				k = &usedKey{Key: key}
			}
			now[keyName{in.Name, key.Name()}] = k
		}
	}
	u.inForce.Store(&now)
	u.shown.Store(&shown)
}

// used notes the use of a key, unless the key is not shown.
func (u *keyUse) used(integration, key string) {
	if k := (*u.inForce.Load())[keyName{integration, key}]; k != nil {
		k.last.Store(time.Now().UnixMilli())
	}
}

// Describe and Collect make it a prometheus.Collector.
func (u *keyUse) Describe(c chan<- *prometheus.Desc) {
	c <- keyLastUsed
	c <- keyCount
	c <- integrationInfo
}

func (u *keyUse) Collect(c chan<- prometheus.Metric) {
	for name, k := range *u.inForce.Load() {
		seconds := float64(k.last.Load()) / 1000
		c <- prometheus.MustNewConstMetric(keyLastUsed, prometheus.GaugeValue, seconds, name.integration, name.key)
	}
	for integration, in := range *u.shown.Load() {
		c <- prometheus.MustNewConstMetric(keyCount, prometheus.GaugeValue, float64(in.keys), integration)
		c <- prometheus.MustNewConstMetric(integrationInfo, prometheus.GaugeValue, 1, integration, in.site)
	}
}

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
