package access

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// cookies keeps what the desk must know of a browser in that browser: encrypted, so that
// nobody reads it there, and authenticated, so that nobody changes or makes it.
//
// AES-GCM of the standard library does both in one step. gorilla/securecookie does them
// in two, with a key each, in code that had its last release in 2023.
type cookies struct {
	keys func() [][]byte
	// desk distinguishes desks that have a key in common: the operators of one, with its
	// provider, need not be those of another.
	desk string
	// secure is set where people come by https.
	secure bool
}

// maxTries bounds what one request can have decrypted.
const maxTries = 4

// seal returns a value as one that open returns under the same name, and nothing else.
func (c cookies) seal(name string, value any) (string, error) {
	keys := usable(c.keys())
	if len(keys) == 0 {
		return "", errors.New("no session key is long enough")
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // or an address is six times as long as it says it is
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	sealed := c.aead(keys[0], name).Seal(nil, nil, text.Bytes(), nil)
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open reads what seal wrote, with any of the keys.
func (c cookies) open(name, sealed string, value any) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return false
	}
	for _, key := range usable(c.keys()) {
		if text, err := c.aead(key, name).Open(nil, nil, raw, nil); err == nil {
			return json.Unmarshal(text, value) == nil
		}
	}
	return false
}

// aead has a key of its own for each kind of cookie of each desk: what began a sign-in is
// not a session. Its nonces are random, which is safe for four thousand million cookies.
func (c cookies) aead(key []byte, name string) cipher.AEAD {
	derived, err := hkdf.Key(sha256.New, key, nil, strings.Join([]string{"sine-relay desk 1", c.desk, name}, "\x00"), 32)
	if err != nil {
		panic(err) // 32 bytes can be derived of every key
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return aead
}

// usable are the keys that are long enough to be secrets.
func usable(keys [][]byte) (long [][]byte) {
	for _, k := range keys {
		if len(k) >= minKey {
			long = append(long, k)
		}
	}
	return long
}

// name is what a cookie is called. With the prefix, browsers take it from this very host
// alone, by https: no other host of the domain can set one here.
func (c cookies) name(short string) string {
	if c.secure {
		return "__Host-sine-relay-" + short
	}
	return "sine-relay-" + short
}

// set has the browser keep a value.
func (c cookies) set(w http.ResponseWriter, short, value string, lasts time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name(short), Value: value, Path: "/", MaxAge: int(lasts.Seconds()),
		// Lax: the way back from the provider is a link of another site.
		Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (c cookies) clear(w http.ResponseWriter, short string) { c.set(w, short, "-", -time.Second) }

// read finds a value that opens as that kind. There may be several of one name, set by
// others where the name has no prefix.
func (c cookies) read(r *http.Request, short, kind string, value any) bool {
	for i, cookie := range r.CookiesNamed(c.name(short)) {
		if i < maxTries && c.open(kind, cookie.Value, value) {
			return true
		}
	}
	return false
}

// session is what a browser keeps of somebody who has signed in.
type session struct {
	// Key is random, and of this session alone.
	Key  string `json:"key"`
	ID   string `json:"id"`
	Name string `json:"name"`
	// Groups are those that stand for something, see roles.
	Groups []byte `json:"groups"`
	// Until is when it ends, in seconds since 1970.
	Until int64 `json:"until"`
}

const sessionCookie = "session"

// maxSession bounds a cookie's value: browsers drop one of more than 4096 bytes with its
// name and attributes, and would then sign in for ever.
const maxSession = 3800
