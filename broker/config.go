package broker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// Config says where NATS is and what the streams are like. Zero fields get the
// defaults.
type Config struct {
	// Servers are URLs such as nats://host:4222, one or more of one cluster.
	Servers []string
	// InProcess is a server in this process, instead of Servers.
	InProcess nats.InProcessConnProvider
	// StoreFault says why a message would not last that the server in this process
	// stores in a stream now, or nil. It is asked before a message is sent and after
	// its acknowledgement. Nil where nobody knows.
	StoreFault func(stream string) error
	// StoreLimit is how many bytes the streams of the server in this process may
	// reserve together, 0 for unknown.
	StoreLimit int64
	Auth       Auth
	TLS        TLS
	// IgnoreDiscovered keeps to Servers. Otherwise the addresses that a cluster
	// advertises are tried, too, which may not be reachable from here.
	IgnoreDiscovered bool
	// InboxPrefix begins every subject on which the relay is answered. One that
	// only the relay may subscribe to keeps everybody else from hearing what it is
	// told. Default [DefaultInboxPrefix].
	InboxPrefix string
	Subjects    visit.Subjects
	// Questions are the subjects that will be asked, so that their metrics exist
	// from the start. Others may be asked, too.
	Questions []string
	// Events, Decisions and Quarantine are the streams of the roots of the
	// same name.
	Events, Decisions, Quarantine StreamConfig
	// DedupeWindow is how long a stream recognises a repeat. Default 24 h.
	DedupeWindow time.Duration
	// Orders is the bucket of the operator's standing orders, VISITOR_ORDERS by
	// default, and OrdersFile where the last known ones are kept; empty for
	// nowhere.
	Orders, OrdersFile string
	// OrderSites are the sites whose orders are followed, beside those of all
	// sites; nil for every site.
	OrderSites []string
	// OrdersMaxAge is for how long orders that were read count as known, 30 s by
	// default, and OverrideMaxDuration the longest that an override may last,
	// 24 h by default.
	OrdersMaxAge, OverrideMaxDuration time.Duration
	// Replicas of the streams that the broker creates. Default 1.
	Replicas int
	// BodyLimit is the largest webhook body in bytes. Default 256 KiB. NATS
	// and the streams must take the largest message that follows from it.
	BodyLimit int
	// Spool takes what NATS cannot take right now; nil for none. The broker
	// empties it while there is a connection, and does not close it.
	Spool  *spool.Spool
	Logger *slog.Logger
	// Registerer gets the broker's metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Auth is how the relay proves who it is: at most one of a credentials file, an
// NKEY seed file, a token, and a user with a password. The credentials file is
// read, and Token and Password are asked, at each connect: they may change. So
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
	// HandshakeFirst is for servers with handshake_first, which say nothing before
	// the TLS handshake. It makes TLS mandatory, too.
	HandshakeFirst bool
}

// StreamConfig is what a stream should be like. MaxAge and MaxBytes bound what
// is kept; a full stream refuses new messages.
type StreamConfig struct {
	Name     string
	MaxAge   time.Duration
	MaxBytes int64
}

// DefaultInboxPrefix is not covered by _INBOX.>, which other users have.
const DefaultInboxPrefix = "_INBOX_SINE_RELAY"

const (
	day = 24 * time.Hour
	mib = 1 << 20

	defaultBodyLimit = 256 << 10
)

func (c Config) complete() (Config, error) {
	c.Events = c.Events.orDefault(StreamConfig{visit.DefaultEventStream, 30 * day, 2048 * mib})
	c.Decisions = c.Decisions.orDefault(StreamConfig{visit.DefaultDecisionStream, 400 * day, 256 * mib})
	c.Quarantine = c.Quarantine.orDefault(StreamConfig{visit.DefaultQuarantineStream, 30 * day, 512 * mib})
	c.Orders = cmp.Or(c.Orders, visit.DefaultOrderBucket)
	c.InboxPrefix = cmp.Or(c.InboxPrefix, DefaultInboxPrefix)
	c.OrdersMaxAge = cmp.Or(c.OrdersMaxAge, 30*time.Second)
	c.OverrideMaxDuration = cmp.Or(c.OverrideMaxDuration, day)
	c.DedupeWindow = cmp.Or(c.DedupeWindow, day)
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.BodyLimit = cmp.Or(c.BodyLimit, defaultBodyLimit)
	if c.StoreFault == nil {
		c.StoreFault = func(string) error { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var faults []error
	if c.InProcess == nil && len(c.Servers) == 0 {
		faults = append(faults, errors.New("no NATS server is configured"))
	}
	if c.InProcess != nil && len(c.Servers) > 0 {
		faults = append(faults, errors.New("both a NATS server in this process and others are configured"))
	}
	seen := make(map[string]bool)
	for _, s := range c.streams() {
		if seen[s.Name] {
			faults = append(faults, fmt.Errorf("events, decisions and quarantine require three streams, but two of them are %s", s.Name))
		}
		seen[s.Name] = true
		// JetStream refuses a dedupe window that outlives the messages.
		if s.MaxAge < c.DedupeWindow {
			faults = append(faults, fmt.Errorf("stream %s: its maximum age of %s must not be shorter than the dedupe window of %s", s.Name, s.MaxAge, c.DedupeWindow))
		}
	}
	return c, errors.Join(faults...)
}

func (c Config) streams() []StreamConfig { return []StreamConfig{c.Events, c.Decisions, c.Quarantine} }

func (s StreamConfig) orDefault(d StreamConfig) StreamConfig {
	return StreamConfig{cmp.Or(s.Name, d.Name), cmp.Or(s.MaxAge, d.MaxAge), cmp.Or(s.MaxBytes, d.MaxBytes)}
}

// LargestMessage is the size in bytes of the largest message, headers included,
// that a body of up to bodyLimit bytes becomes. A message holds the body twice: once as it came, and once more in the typed fields,
// where escaping may double what it escapes; the rest is for names and headers.
func LargestMessage(bodyLimit int) int64 { return 3*int64(bodyLimit) + 4096 }
