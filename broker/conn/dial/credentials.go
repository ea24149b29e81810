package dial

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Auth is how the relay proves who it is: at most one of a credentials file, an
// NKEY seed file, a token, and a user with a password. The credentials file is
// read, and Token and Password are called, at each connect: they may change. So
// may what signs in the seed file, but not the key that it belongs to.
type Auth struct {
	CredentialsFile string
	NKeySeedFile    string
	Token           func() string
	User            string
	Password        func() string
}

// TLS names PEM files. CAFile replaces the system's certificate authorities;
// CertFile and KeyFile are the relay's own certificate. Any of them makes TLS
// mandatory.
type TLS struct {
	CAFile, CertFile, KeyFile string
	// HandshakeFirst is for servers with handshake_first, which send nothing before
	// the TLS handshake. It makes TLS mandatory, too.
	HandshakeFirst bool
}

func (a Auth) options() ([]nats.Option, error) {
	var chosen []nats.Option
	if a.CredentialsFile != "" {
		o := nats.UserCredentials(a.CredentialsFile)
		if err := tryCredentials(o); err != nil {
			return nil, fmt.Errorf("credentials file: %w", err)
		}
		chosen = append(chosen, o)
	}
	if a.NKeySeedFile != "" {
		o, err := nats.NkeyOptionFromSeed(a.NKeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("NKEY seed file: %w", err)
		}
		chosen = append(chosen, o)
	}
	if a.Token != nil {
		chosen = append(chosen, nats.TokenHandler(nats.AuthTokenHandler(a.Token)))
	}
	switch {
	case (a.User == "") != (a.Password == nil):
		return nil, errors.New("user and password must be set together")
	case a.User != "":
		chosen = append(chosen, nats.UserInfoHandler(func() (user, password string) { return a.User, a.Password() }))
	}
	if len(chosen) > 1 {
		return nil, errors.New("only one of credentials file, nkey seed file, token, and user with password may be configured")
	}
	return chosen, nil
}

// tryCredentials reads the file now: nats.go reads it when it connects, and
// would take a missing one for a server that is away.
func tryCredentials(o nats.Option) error {
	var probe nats.Options
	if err := o(&probe); err != nil {
		return err
	}
	if _, err := probe.UserJWT(); err != nil {
		return err
	}
	_, err := probe.SignatureCB([]byte("probe"))
	return err
}

func (t TLS) options() ([]nats.Option, error) {
	var chosen []nats.Option
	if t.CAFile != "" {
		chosen = append(chosen, nats.RootCAs(t.CAFile))
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("TLS: certificate and key must be set together")
	}
	if t.CertFile != "" {
		chosen = append(chosen, nats.ClientCert(t.CertFile, t.KeyFile))
	}
	if t.HandshakeFirst {
		chosen = append(chosen, nats.TLSHandshakeFirst())
	}
	for _, o := range chosen {
		var probe nats.Options
		if err := o(&probe); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
	}
	return chosen, nil
}

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
