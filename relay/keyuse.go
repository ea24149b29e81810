package relay

import (
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

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
