package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/internal/ratelimit"
)

// headerKey is where Sine puts the API key.
const headerKey = "X-Sine-Auth"

// Reasons for which a webhook is refused, beside visit's reasons for which a body is
// not understood.
const (
	reasonMissingKey         = "missing_key"
	reasonWrongKey           = "wrong_key"
	reasonUnknownIntegration = "unknown_integration"
	// reasonAddress is a valid key from an address that is not allowed.
	reasonAddress = "address"
	// reasonNoKey is a webhook of an integration without a key, and reasonInvalid
	// one of an integration whose configuration is invalid.
	reasonNoKey   = "no_key_configured"
	reasonInvalid = "integration_invalid"
	// reasonPlainHTTP is a valid key that came by http.
	reasonPlainHTTP = "plain_http"
)

// authenticate returns the name of the integration's key that the header holds,
// or the reason why the webhook is refused. It costs the same time for an
// unknown integration and a wrong key, and the client sees no difference. The
// key comes before the question whether it came by plain http: only of a valid one
// is it true that it must be changed.
func (r *Relay) authenticate(x *exchange) (key, reason string) {
	in, presented := x.in, x.req.Header.Get(headerKey)
	keys := noKeys
	if in != nil && len(in.Keys) > 0 {
		keys = in.Keys
	}
	match := matchKey(keys, presented)
	switch {
	case in == nil:
		return "", reasonUnknownIntegration
	case in.Invalid:
		return "", reasonInvalid
	case len(in.Keys) == 0:
		return "", reasonNoKey
	case strings.TrimSpace(presented) == "":
		return "", reasonMissingKey
	case match < 0:
		return "", reasonWrongKey
	}
	r.checkClientAddress(x)
	if !clientip.Allowed(in.AllowFrom, r.proxies.Address(x.req.RemoteAddr, x.req.Header)) {
		return "", reasonAddress
	}
	return in.Keys[match].Name(), ""
}

// failureLimits let somebody try out keys by hand. A client that is set up wrongly is to
// slow down, and a flood is shown as what it is; nobody is kept from guessing keys by it,
// which their length does. They take 3 MB at most.
var failureLimits = ratelimit.Limits{Burst: 10, Refill: time.Second, Clients: 10_000}

// refuse answers a webhook that is not let in. Only such are limited: a valid key
// never is, since Sine calls from few addresses, in bursts.
func (r *Relay) refuse(x *exchange, reason string) response {
	r.metrics.refused.WithLabelValues(x.integration(), reason).Inc()
	from := r.proxies.Address(x.req.RemoteAddr, x.req.Header)
	x.reason, x.from = reason, clientip.Network(from)
	if !r.failures.Allow(clientip.Client(from), time.Now()) {
		return errorResponse(resultBlocked)
	}
	return errorResponse(resultUnauthorized)
}

// cameByPlainHTTP reports whether a trusted proxy says that a webhook with a valid key
// came to it by http.
func (r *Relay) cameByPlainHTTP(x *exchange, key string) bool {
	if x.req.TLS != nil || !r.proxies.PlainHTTP(x.req.RemoteAddr, x.req.Header) {
		return false
	}
	r.metrics.plainHTTP.WithLabelValues(x.in.Name).Inc()
	x.err = fmt.Errorf("the webhook came to a proxy by http, so the API key %s crossed the network unencrypted: change the URL in Sine to https, then change the key", key)
	return true
}

// Key is an API key that Sine sends with every webhook. It keeps a digest only,
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

// noKeys are compared with when the integration is unknown, so that the response
// takes as long as for a wrong key.
var noKeys = []Key{{}}

// addressWarningInterval is between two log lines about proxies that do not pass the
// client's address on: who set one up wrongly is to see it at once, and the log of a
// year is not to be full of it.
const addressWarningInterval = time.Hour

// addressRemedies say what is wrong with a proxy, and what would be right.
var addressRemedies = map[clientip.MissingReason]string{
	clientip.NoHeader:    "the proxy does not set the header: have it set the header anew",
	clientip.OtherHeader: "the proxy sets the other header: name that one by SINE_RELAY_FORWARDED_HEADER, and have the proxy set it anew",
	clientip.NoAddress:   "the last element of the header is not an address: have the proxy append the address of its client",
	clientip.OnlyProxies: "every address in the header is that of a trusted proxy: trust only the proxies' own addresses, and have none of them called by way of another address of that network",
}

// checkClientAddress counts a webhook with a valid key for which a proxy does not pass
// the client's address on.
func (r *Relay) checkClientAddress(x *exchange) {
	why := r.proxies.MissingReason(x.req.RemoteAddr, x.req.Header)
	if why == "" || x.synthetic {
		return
	}
	r.metrics.withoutAddress.WithLabelValues(x.in.Name).Inc()
	n := r.addressWarnings.Due("", time.Now())
	if n == 0 {
		return
	}
	header := r.proxies.Header
	if header == "" {
		header = clientip.XForwardedFor
	}
	peer, _ := netip.ParseAddrPort(x.req.RemoteAddr)
	r.log.Warn("a trusted proxy does not pass on the client address",
		"integration", x.in.Name, "proxy", clientip.Network(peer.Addr()), "header", string(header), "reason", string(why),
		"effect", "every request seems to come from the proxy; where it passes the header on unchanged, a client can claim any address",
		"remedy", addressRemedies[why], "webhooks", n)
}

// HeaderKeyDigest carries the digest of an API key, see [Relay.KeyCheck].
const HeaderKeyDigest = "Sine-Relay-Key-Digest"

// Digest names the key to a relay without the key itself crossing the network.
func (k Key) Digest() string { return hex.EncodeToString(k.digest[:]) }

// KeyCheck says whether a relay accepts a key: GET /sine/{integration} with the digest
// of the key is answered 204 if it does, else 401, whether the integration is known or
// not, and 429 for an address that fails again and again. Nothing else happens: the key
// does not count as used. It is for the admin listener.
func (r *Relay) KeyCheck() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		digest, err := hex.DecodeString(req.Header.Get(HeaderKeyDigest))
		if err != nil || len(digest) == 0 {
			http.Error(w, "The header "+HeaderKeyDigest+" must be the SHA-256 of an API key in hexadecimal.", http.StatusBadRequest)
			return
		}
		accepted := 0
		if in := r.snapshot.Load().integrations[strings.TrimPrefix(req.URL.Path, "/sine/")]; in != nil && !in.Invalid {
			for _, k := range in.Keys {
				accepted |= subtle.ConstantTimeCompare(k.digest[:], digest)
			}
		}
		switch {
		case accepted == 1:
			w.WriteHeader(http.StatusNoContent)
		case !r.failures.Allow(clientip.Client(r.proxies.Address(req.RemoteAddr, req.Header)), time.Now()):
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// keysInForce shows when each key was last used, and how many keys and which site each
// integration has. It shows the keys in force and no other, so that an operator who
// changes a key sees which relays already have the new one, and which still have the
// old one.
type keysInForce struct{ current atomic.Pointer[keySet] }

type keySet struct {
	keys         map[keyName]*usedKey
	integrations map[string]*Integration
}

// keyName is an integration's name and what people call its key.
type keyName struct{ integration, key string }

// usedKey is a key and when it was last used, in milliseconds since 1970, or 0.
type usedKey struct {
	Key
	last atomic.Int64
}

var (
	keyLastUsed = prometheus.NewDesc("sine_relay_api_key_last_used_timestamp_seconds",
		"Time of the last webhook with this API key, 0 if there was none. There is one series for each key in force.", []string{"integration", "api_key"}, nil)
	keyCount = prometheus.NewDesc("sine_relay_integration_api_keys",
		"API keys of an integration that are in force; without one, all its webhooks are answered 401.", []string{"integration"}, nil)
	integrationInfo = prometheus.NewDesc("sine_relay_integration_info",
		"Always 1; the site of each integration.", []string{"integration", "site"}, nil)
)

func newKeysInForce(reg prometheus.Registerer) *keysInForce {
	k := &keysInForce{}
	k.current.Store(&keySet{})
	reg.MustRegister(k)
	return k
}

// swap shows the keys of these integrations from now on. It follows the swap of the
// snapshot, so that no key is shown before it is valid. It must not run twice at
// once. Keys that are called by their places may change them: the time belongs to
// the key.
func (k *keysInForce) swap(integrations map[string]*Integration) {
	type identity struct {
		integration string
		digest      [sha256.Size]byte
	}
	before := map[identity]*usedKey{}
	for name, key := range k.current.Load().keys {
		before[identity{name.integration, key.digest}] = key
	}
	next := &keySet{keys: map[keyName]*usedKey{}, integrations: integrations}
	for _, in := range integrations {
		for _, key := range in.Keys {
			used := before[identity{in.Name, key.digest}]
			if used == nil {
				used = &usedKey{Key: key}
			}
			next.keys[keyName{in.Name, key.Name()}] = used
		}
	}
	k.current.Store(next)
}

// used notes the use of a key, unless the key is not shown.
func (k *keysInForce) used(integration, key string) {
	if used := k.current.Load().keys[keyName{integration, key}]; used != nil {
		used.last.Store(time.Now().UnixMilli())
	}
}

// Describe and Collect make it a prometheus.Collector.
func (k *keysInForce) Describe(c chan<- *prometheus.Desc) {
	c <- keyLastUsed
	c <- keyCount
	c <- integrationInfo
}

func (k *keysInForce) Collect(c chan<- prometheus.Metric) {
	set := k.current.Load()
	for name, key := range set.keys {
		seconds := float64(key.last.Load()) / 1000
		c <- prometheus.MustNewConstMetric(keyLastUsed, prometheus.GaugeValue, seconds, name.integration, name.key)
	}
	for _, in := range set.integrations {
		c <- prometheus.MustNewConstMetric(keyCount, prometheus.GaugeValue, float64(len(in.Keys)), in.Name)
		c <- prometheus.MustNewConstMetric(integrationInfo, prometheus.GaugeValue, 1, in.Name, in.Site)
	}
}
