package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

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
