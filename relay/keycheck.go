package relay

import (
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

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
