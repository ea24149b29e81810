package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	reconnectWait   = 250 * time.Millisecond
	reconnectJitter = 250 * time.Millisecond
	// dialTimeout is far below the budgets: behind an address that nobody answers at,
	// as a cluster may advertise it, there is another one. handshakeTimeout is for
	// TLS and signing in over some hundred milliseconds of distance.
	dialTimeout      = 500 * time.Millisecond
	handshakeTimeout = time.Second
	// A peer that went silent is noticed after about three intervals; with
	// the default it takes minutes.
	pingInterval = 2 * time.Second
	maxPingsOut  = 2
	// writeTimeout bounds how long a peer that reads nothing can hold up
	// everybody: a write to it holds the connection's lock, also over the
	// deadlines of those who only wait for the lock. The default is a minute.
	writeTimeout = time.Second
)

// options are those of both connections.
func (c Config) options() ([]nats.Option, error) {
	if err := checkServers(c.Servers); err != nil {
		return nil, err
	}
	auth, err := c.Auth.options()
	if err != nil {
		return nil, err
	}
	security, err := c.TLS.options()
	if err != nil {
		return nil, err
	}
	options := []nats.Option{
		// By default 8 MB of messages are kept while reconnecting: the caller
		// is told that it failed, and the message goes out later all the
		// same. A question would reach the decider when the visitor is gone.
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		nats.Timeout(handshakeTimeout),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.FlusherTimeout(writeTimeout),
		nats.ReconnectOnFlusherError(),
		// Otherwise the second refusal closes the connection for good, and
		// corrected credentials would need a restart of the relay.
		nats.IgnoreAuthErrorAbort(),
	}
	if c.IgnoreDiscovered {
		options = append(options, nats.IgnoreDiscoveredServers())
	}
	if c.InProcess != nil {
		options = append(options, nats.InProcessServer(c.InProcess))
	}
	return slices.Concat(options, auth, security), nil
}

func (c Config) urls() string { return strings.Join(c.Servers, ",") }

// urlsApart are the servers for two connections. Each begins with another one, so that
// a server that hangs does not have both. nats.go must not shuffle them then; of a
// single name it shuffles the addresses.
func (c Config) urlsApart() (one, other string, order []nats.Option) {
	if len(c.Servers) < 2 {
		return c.urls(), c.urls(), nil
	}
	shuffled := slices.Clone(c.Servers)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	rotated := append(slices.Clone(shuffled[1:]), shuffled[0])
	return strings.Join(shuffled, ","), strings.Join(rotated, ","), []nats.Option{nats.DontRandomize()}
}

// hosts are the servers without what may be secret in a URL.
func (c Config) hosts() string {
	var hosts []string
	for _, s := range c.Servers {
		if u, err := url.Parse(s); err == nil {
			hosts = append(hosts, u.Host)
		}
	}
	return strings.Join(hosts, ", ")
}

// checkServers has errors of its own: those of net/url quote the URL, password
// included.
func checkServers(servers []string) error {
	for i, s := range servers {
		u, err := url.Parse(s)
		if err != nil || strings.Contains(s, ",") || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Hostname() == "" {
			return fmt.Errorf("NATS server %d of %d is not a URL such as nats://host:4222", i+1, len(servers))
		}
	}
	return nil
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
