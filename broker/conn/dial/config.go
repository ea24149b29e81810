package dial

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Config says where NATS is and how to connect.
type Config struct {
	// Servers are URLs such as nats://host:4222, one or more of one cluster.
	Servers []string
	// InProcess is a server in this process, instead of Servers.
	InProcess nats.InProcessConnProvider
	Auth      Auth
	TLS       TLS
	// IgnoreDiscovered keeps to Servers. Otherwise the addresses that a cluster
	// advertises are tried, too, which may not be reachable from here.
	IgnoreDiscovered bool
	// InboxPrefix begins every subject on which replies are received. One that only
	// the relay may subscribe to keeps other clients from reading its replies.
	// Default [DefaultInboxPrefix].
	InboxPrefix string
	// Remedy words what mends an error such as [ErrServerSilent], with the names of
	// the settings. Nil or an empty text adds nothing.
	Remedy func(error) string
}

// DefaultInboxPrefix is not covered by _INBOX.>, which other users have.
const DefaultInboxPrefix = "_INBOX_SINE_RELAY"

const (
	// ReconnectWait and up to ReconnectJitter more are between two attempts to connect.
	ReconnectWait   = 250 * time.Millisecond
	ReconnectJitter = 250 * time.Millisecond
	// handshakeTimeout is for TLS and signing in over some hundred milliseconds of
	// distance.
	handshakeTimeout = time.Second
	// A peer that went silent is noticed after about three intervals; with
	// the default it takes minutes.
	pingInterval = 2 * time.Second
	maxPingsOut  = 2
	// WriteTimeout bounds how long a peer that reads nothing can hold up
	// everybody: a write to it holds the connection's lock, also over the
	// deadlines of those who only wait for the lock. The default is a minute.
	WriteTimeout = time.Second
	// RequestTimeout bounds one request of a command.
	RequestTimeout = 5 * time.Second
)

// WithDefaults returns the configuration with its defaults, or why it can never work.
func (c Config) WithDefaults() (Config, error) {
	c.InboxPrefix = cmp.Or(c.InboxPrefix, DefaultInboxPrefix)
	var problems []error
	if c.InProcess == nil && len(c.Servers) == 0 {
		problems = append(problems, errors.New("no NATS server is configured"))
	}
	if c.InProcess != nil && len(c.Servers) > 0 {
		problems = append(problems, errors.New("both a NATS server in this process and others are configured"))
	}
	return c, errors.Join(problems...)
}

// Options are those of every connection. An error is of a configuration that can never
// work.
func (c Config) Options() ([]nats.Option, error) {
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
		// gets an error, and the message goes out later all the same. A
		// request would reach the decider when the visitor is gone.
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		nats.Timeout(handshakeTimeout),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(ReconnectWait),
		nats.ReconnectJitter(ReconnectJitter, ReconnectJitter),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.FlusherTimeout(WriteTimeout),
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

// URLs are the servers in one text, as nats.go takes them.
func (c Config) URLs() string { return strings.Join(c.Servers, ",") }

// URLsApart are the servers for two connections. Each begins with another one, so that
// a server that hangs does not have both. nats.go must not shuffle them then; of a
// single name it shuffles the addresses.
func (c Config) URLsApart() (one, other string, order []nats.Option) {
	if len(c.Servers) < 2 {
		return c.URLs(), c.URLs(), nil
	}
	shuffled := slices.Clone(c.Servers)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	rotated := append(slices.Clone(shuffled[1:]), shuffled[0])
	return strings.Join(shuffled, ","), strings.Join(rotated, ","), []nats.Option{nats.DontRandomize()}
}

// Hosts are the servers without what may be secret in a URL.
func (c Config) Hosts() string {
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
