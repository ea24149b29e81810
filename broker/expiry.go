package broker

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
)

// Expiry is when the credentials end, or the zero time when they never do or
// there are none that could. It reads the file, as the next connect will.
func (a Auth) Expiry() (time.Time, error) {
	if a.CredentialsFile == "" {
		return time.Time{}, nil
	}
	content, err := os.ReadFile(a.CredentialsFile)
	if err != nil {
		return time.Time{}, err
	}
	token, err := nkeys.ParseDecoratedJWT(content)
	if err != nil {
		return time.Time{}, fmt.Errorf("credentials file: %w", err)
	}
	return jwtExpiry(token)
}

// jwtExpiry reads the claim "exp" of RFC 7519, in seconds since 1970, without
// checking the signature: that is for the server.
func jwtExpiry(token string) (time.Time, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, errors.New("credentials file: its JWT does not have three parts")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, fmt.Errorf("credentials file: its JWT: %w", err)
	}
	var claims struct {
		Expires int64 `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return time.Time{}, fmt.Errorf("credentials file: its JWT: %w", err)
	}
	if claims.Expires == 0 {
		return time.Time{}, nil
	}
	return time.Unix(claims.Expires, 0), nil
}

// Expiry is when the relay's own certificate ends, or the zero time when there is
// none. It reads the file, as the next connect will.
func (t TLS) Expiry() (time.Time, error) {
	if t.CertFile == "" {
		return time.Time{}, nil
	}
	certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return time.Time{}, fmt.Errorf("TLS: %w", err)
	}
	return certificate.Leaf.NotAfter, nil
}
