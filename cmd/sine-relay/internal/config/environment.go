package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Environment holds the settings of the environment. The tags are the source of
// the table in the README: "unit" says how a value is written, "help" what it
// means; a field of type Secret can also be given as a file, by …_FILE.
type Environment struct {
	Listen      string `env:"LISTEN, default=:8080" help:"where Sine's calls come in, host:port"`
	AdminListen string `env:"ADMIN_LISTEN, default=:9090" help:"where /metrics, /livez and /readyz are, host:port; never route it from outside"`
	TLSCertFile string `env:"TLS_CERT_FILE" help:"certificate of the public listener; HTTPS when set"`
	TLSKeyFile  string `env:"TLS_KEY_FILE" help:"its key"`

	TrustedProxies  string `env:"TRUSTED_PROXIES" help:"addresses or networks of the proxies whose word about a caller's address counts, comma-separated"`
	ForwardedHeader string `env:"FORWARDED_HEADER, default=X-Forwarded-For" help:"the header in which they pass it on: X-Forwarded-For or Forwarded"`

	PlainHTTP string `env:"PLAIN_HTTP, default=count" help:"what becomes of a call with a valid key that came to such a proxy by http: count or refuse (403)"`

	NATSURL              Secret `env:"NATS_URL" help:"servers of an existing NATS, comma-separated, by nats://, tls://, ws:// or wss://; without it, serve needs NATS_STORE_DIR"`
	NATSStoreDir         string `env:"NATS_STORE_DIR" help:"runs the embedded NATS with its store here"`
	NATSListen           string `env:"NATS_LISTEN, default=127.0.0.1:4222" help:"where the embedded NATS is reached by other programs"`
	NATSListenTLSCert    string `env:"NATS_LISTEN_TLS_CERT_FILE" help:"certificate of that listener"`
	NATSListenTLSKey     string `env:"NATS_LISTEN_TLS_KEY_FILE" help:"its key"`
	NATSListenPlaintext  bool   `env:"NATS_LISTEN_PLAINTEXT, default=false" help:"permits that listener beyond loopback without TLS"`
	NATSCredentialsFile  string `env:"NATS_CREDENTIALS_FILE" help:"NATS user credentials (.creds)"`
	NATSNKeyFile         string `env:"NATS_NKEY_FILE" help:"NATS nkey seed"`
	NATSToken            Secret `env:"NATS_TOKEN" help:"NATS token"`
	NATSUser             string `env:"NATS_USER" help:"NATS user"`
	NATSPassword         Secret `env:"NATS_PASSWORD" help:"its password"`
	NATSCAFile           string `env:"NATS_CA_FILE" help:"authorities to trust for TLS to NATS, in place of the system's"`
	NATSCertFile         string `env:"NATS_CERT_FILE" help:"the relay's own certificate for NATS"`
	NATSKeyFile          string `env:"NATS_KEY_FILE" help:"its key"`
	NATSHandshakeFirst   bool   `env:"NATS_TLS_HANDSHAKE_FIRST, default=false" help:"begins with the TLS handshake, for NATS servers with handshake_first: true"`
	NATSIgnoreDiscovered bool   `env:"NATS_IGNORE_DISCOVERED_SERVERS, default=false" help:"connects to the servers of NATS_URL only, and not to addresses that a cluster advertises, which may not be reachable from here"`
	NATSInboxPrefix      string `env:"NATS_INBOX_PREFIX, default=_INBOX_SINE_RELAY" help:"first part of the subjects on which the relay is answered; nobody else should be permitted to subscribe there"`
	NATSReplicas         int    `env:"NATS_REPLICAS, default=1" help:"replicas of the streams that the relay creates, 1 to 5"`

	SubjectPrefix      string        `env:"SUBJECT_PREFIX, default=visitors" help:"first part of every NATS subject"`
	EventStream        string        `env:"EVENT_STREAM, default=VISITORS" help:"name of the stream of events"`
	EventMaxAge        time.Duration `env:"EVENT_STREAM_MAX_AGE, default=30d" unit:"duration" help:"how long events are kept"`
	EventMaxBytes      int64         `env:"EVENT_STREAM_MAX_BYTES, default=2GiB" unit:"bytes" help:"how much of them is kept; a full stream refuses new ones"`
	DecisionStream     string        `env:"DECISION_STREAM, default=VISITOR_DECISIONS" help:"name of the stream of how check-in requests were answered"`
	DecisionMaxAge     time.Duration `env:"DECISION_STREAM_MAX_AGE, default=400d" unit:"duration" help:"how long that is kept"`
	DecisionMaxBytes   int64         `env:"DECISION_STREAM_MAX_BYTES, default=256MiB" unit:"bytes" help:"how much of it is kept"`
	QuarantineStream   string        `env:"QUARANTINE_STREAM, default=VISITOR_QUARANTINE" help:"name of the stream of what could not be understood"`
	QuarantineMaxAge   time.Duration `env:"QUARANTINE_STREAM_MAX_AGE, default=30d" unit:"duration" help:"how long that is kept"`
	QuarantineMaxBytes int64         `env:"QUARANTINE_STREAM_MAX_BYTES, default=512MiB" unit:"bytes" help:"how much of it is kept"`
	OrderBucket        string        `env:"ORDER_BUCKET, default=VISITOR_ORDERS" help:"name of the key-value bucket of standing orders: lockdown and override"`
	OrdersMaxAge       time.Duration `env:"ORDERS_MAX_AGE, default=30s" unit:"duration" help:"for how long standing orders that were read count as known; then no fallback lets anybody in, and no override"`
	OrdersDeciders     bool          `env:"ORDERS_UNKNOWN_OBEY_DECIDERS, default=true" help:"whether a decider's own acceptance counts while the standing orders are unknown"`
	OverrideMax        time.Duration `env:"OVERRIDE_MAX_DURATION, default=24h" unit:"duration" help:"longest that an override may last; one that lasts longer counts for nothing"`
	DedupeWindow       time.Duration `env:"STREAM_DEDUPE_WINDOW, default=24h" unit:"duration" help:"for how long a repeat is recognised"`

	Keys             Secret `env:"KEYS" help:"API keys of the integration \"default\", comma-separated"`
	Site             string `env:"SITE, default=default" help:"site of the integration \"default\""`
	TimeZone         string `env:"TIME_ZONE, default=UTC" help:"time zone of the sites whose integrations name none, as in Australia/Adelaide: deciders go by it, and dates without a zone are read in it"`
	IntegrationsFile string `env:"INTEGRATIONS_FILE" help:"many integrations, YAML or JSON"`
	KeysDir          string `env:"KEYS_DIR" help:"their keys: a file per integration, of its name, a key a line"`

	DecisionBudget time.Duration `env:"DECISION_BUDGET, default=2.5s" unit:"duration" help:"how long a visitor waits for a decision, for integrations that say nothing else"`
	StoreBudget    time.Duration `env:"STORE_BUDGET, default=2s" unit:"duration" help:"how long an event may take to be stored before it is refused"`

	SpoolDir      string        `env:"SPOOL_DIR" help:"where events are kept that NATS cannot take right now; without it they are refused"`
	SpoolMaxBytes int64         `env:"SPOOL_MAX_BYTES, default=1GiB" unit:"bytes" help:"how much may wait there; the disk should have twice as much"`
	SpoolMaxAge   time.Duration `env:"SPOOL_MAX_AGE, default=24h" unit:"duration" help:"how long something may wait there before a metric says so"`

	StateDir string `env:"STATE_DIR" help:"where the last known standing orders are kept for the next start; SPOOL_DIR or NATS_STORE_DIR unless set"`

	BodyLimit          int64         `env:"BODY_LIMIT, default=256KiB" unit:"bytes" help:"largest body that is accepted"`
	HeaderLimit        int64         `env:"HEADER_LIMIT, default=16KiB" unit:"bytes" help:"largest HTTP header that is accepted"`
	JSONDepth          int           `env:"JSON_DEPTH, default=32" help:"how deep a body may be nested"`
	ReadTimeout        time.Duration `env:"READ_TIMEOUT, default=5s" unit:"duration" help:"how long a caller may take to send its request"`
	WriteTimeout       time.Duration `env:"WRITE_TIMEOUT, default=10s" unit:"duration" help:"how long an answer may take altogether; longer than every budget"`
	IdleTimeout        time.Duration `env:"IDLE_TIMEOUT, default=2m" unit:"duration" help:"how long a connection without a request is kept"`
	MaxConnections     int           `env:"MAX_CONNECTIONS, default=1000" help:"connections open on the public listener; beyond it, those that showed no valid key make room"`
	MaxCheckInRequests int64         `env:"MAX_CHECK_IN_REQUESTS, default=512" help:"check-in requests in flight; beyond it, the fallback for overload"`
	MaxEvents          int64         `env:"MAX_EVENTS, default=256" help:"events being stored at once; more wait"`
	MaxWaitingEvents   int64         `env:"MAX_WAITING_EVENTS, default=10000" help:"events that wait; beyond it they are refused"`
	MaxBodyMemory      int64         `env:"MAX_BODY_MEMORY, default=64MiB" unit:"bytes" help:"memory for bodies in flight, of which each counts as six times its length and 24 KiB; a quarter of it is kept free of waiting events, for the door"`

	DrainDelay      time.Duration `env:"DRAIN_DELAY, default=5s" unit:"duration" help:"after a signal, how long the relay goes on serving while it reports unready"`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT, default=20s" unit:"duration" help:"after that, how long calls in flight may take"`

	LogLevel  string `env:"LOG_LEVEL, default=info" help:"debug, info, warn or error"`
	LogFormat string `env:"LOG_FORMAT, default=auto" help:"json or text; auto is text on a terminal"`
}

// setting is one variable, as the tags of [Environment] describe it.
type setting struct {
	name, initial, unit, help string // name without the prefix
	kind                      reflect.Kind
	secret                    bool
}

// settings are all variables, in the order of the struct.
var settings = func() []setting {
	var all []setting
	for f := range reflect.TypeFor[Environment]().Fields() {
		name, initial, _ := strings.Cut(f.Tag.Get("env"), ", default=")
		all = append(all, setting{
			name: name, initial: initial, unit: f.Tag.Get("unit"), help: f.Tag.Get("help"),
			kind: f.Type.Kind(), secret: f.Type == reflect.TypeFor[Secret](),
		})
	}
	return all
}()

func settingNamed(name string) (setting, bool) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, false
	}
	return settings[i], true
}

// Docs is the table of settings, in Markdown.
func Docs() string {
	var b strings.Builder
	b.WriteString("| Variable | Meaning | Default |\n|---|---|---|\n")
	for _, s := range settings {
		name := "`" + Prefix + s.name + "`"
		if s.secret {
			name += " or `…_FILE`"
		}
		initial := s.initial
		if initial != "" {
			initial = "`" + initial + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, s.help, initial)
	}
	return b.String()
}

// Flag describes a setting as a flag of a command: --log-level for SINE_RELAY_LOG_LEVEL.
type Flag struct {
	Name, Variable, Default, Help string
	// Type is how a value is written: string, bool, int, duration or size.
	Type string
	// Secret settings are refused as flags: everybody on the machine can read a
	// program's arguments. Those that name a secret's file are not secret.
	Secret bool
}

// Flags are those of all settings, in the order of the table.
func Flags() (all []Flag) {
	for _, s := range settings {
		f := Flag{Name: flagName(s.name), Variable: Prefix + s.name, Default: s.initial, Help: s.help, Type: s.flagType(), Secret: s.secret}
		all = append(all, f)
		if s.secret {
			all = append(all, Flag{Name: f.Name + "-file", Variable: f.Variable + "_FILE", Type: "string", Help: fmt.Sprintf("file that holds %s: %s", f.Variable, s.help)})
		}
	}
	return all
}

func flagName(setting string) string { return strings.ToLower(strings.ReplaceAll(setting, "_", "-")) }

func (s setting) flagType() string {
	switch {
	case s.unit == "bytes":
		return "size"
	case s.unit != "":
		return s.unit
	case s.kind == reflect.Bool, s.kind == reflect.String:
		return s.kind.String()
	default:
		return "int"
	}
}

// With returns environ with a variable set to a value, in place of what it was.
func With(environ []string, variable, value string) []string {
	kept := slices.DeleteFunc(slices.Clone(environ), func(pair string) bool { return strings.HasPrefix(pair, variable+"=") })
	return append(kept, variable+"="+value)
}

// ParseDuration reads what Go reads, and whole days, as in 30d.
func ParseDuration(s string) (time.Duration, error) {
	d, ok := parseDuration(s)
	if !ok {
		return 0, fmt.Errorf("%s", invalidDuration(s))
	}
	return d, nil
}
