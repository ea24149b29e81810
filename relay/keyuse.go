package relay

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keyUse tells when each key was last used. It shows the keys in force and no
// other, so that an operator who changes a key sees which relays already have
// the new one, and which still have the old one.
type keyUse struct {
	inForce atomic.Pointer[map[keyName]*atomic.Int64]
}

// keyName is an integration's name and what people call its key.
type keyName struct{ integration, key string }

var keyLastUsed = prometheus.NewDesc("sine_relay_key_last_used_timestamp_seconds",
	"Time of the last webhook with this key, by what people call it, 0 if there was none. There is one for each key in force.", []string{"integration", "key"}, nil)

func newKeyUse(reg prometheus.Registerer) *keyUse {
	u := &keyUse{}
	u.inForce.Store(&map[keyName]*atomic.Int64{})
	reg.MustRegister(u)
	return u
}

// change shows the keys of these integrations from now on. It follows the change
// itself, so that no key is shown before it is valid. It must not run twice at once.
func (u *keyUse) change(integrations map[string]*Integration) {
	before, now := *u.inForce.Load(), map[keyName]*atomic.Int64{}
	for _, in := range integrations {
		for _, key := range in.Keys {
			name := keyName{in.Name, key.Name()}
			if now[name] = before[name]; now[name] == nil {
				now[name] = new(atomic.Int64)
			}
		}
	}
	u.inForce.Store(&now)
}

// used notes the use of a key, unless the key is not shown.
func (u *keyUse) used(integration, key string) {
	if last := (*u.inForce.Load())[keyName{integration, key}]; last != nil {
		last.Store(time.Now().UnixMilli())
	}
}

// Describe and Collect make it a prometheus.Collector.
func (u *keyUse) Describe(c chan<- *prometheus.Desc) { c <- keyLastUsed }

func (u *keyUse) Collect(c chan<- prometheus.Metric) {
	for name, last := range *u.inForce.Load() {
		seconds := float64(last.Load()) / 1000
		c <- prometheus.MustNewConstMetric(keyLastUsed, prometheus.GaugeValue, seconds, name.integration, name.key)
	}
}
