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
	Listen      string `env:"LISTEN, default=:8080" help:"address of the public listener for Sine's webhooks, host:port"`
	AdminListen string `env:"ADMIN_LISTEN, default=:9090" help:"address of the admin listener (/metrics, /livez, /readyz), host:port; never expose it publicly"`
	TLSCertFile string `env:"TLS_CERT_FILE" help:"TLS certificate of the public listener, PEM; enables HTTPS"`
	TLSKeyFile  string `env:"TLS_KEY_FILE" help:"private key of that certificate, PEM"`

	TrustedProxies  string `env:"TRUSTED_PROXIES" help:"addresses or networks of the proxies whose forwarding header is trusted, comma-separated"`
	ForwardedHeader string `env:"FORWARDED_HEADER, default=X-Forwarded-For" help:"header with the client's address from a trusted proxy: X-Forwarded-For or Forwarded"`

	PlainHTTP string `env:"PLAIN_HTTP, default=count" help:"treatment of a request with a valid API key that reached a trusted proxy by http: count, or refuse with 403"`

	NATSURL              Secret `env:"NATS_URL" help:"URLs of an existing NATS, comma-separated: nats://, tls://, ws:// or wss://; serve requires this or NATS_STORE_DIR"`
	NATSStoreDir         string `env:"NATS_STORE_DIR" help:"store directory of the embedded NATS; enables it"`
	NATSListen           string `env:"NATS_LISTEN, default=127.0.0.1:4222" help:"address of the embedded NATS for other programs, host:port"`
	NATSListenTLSCert    string `env:"NATS_LISTEN_TLS_CERT_FILE" help:"TLS certificate of the embedded NATS, PEM"`
	NATSListenTLSKey     string `env:"NATS_LISTEN_TLS_KEY_FILE" help:"private key of that certificate, PEM"`
	NATSListenPlaintext  bool   `env:"NATS_LISTEN_PLAINTEXT, default=false" help:"permission for the embedded NATS to listen beyond loopback without TLS"`
	NATSCredentialsFile  string `env:"NATS_CREDENTIALS_FILE" help:"NATS credentials file (.creds)"`
	NATSNKeyFile         string `env:"NATS_NKEY_FILE" help:"file with the seed of a NATS nkey"`
	NATSToken            Secret `env:"NATS_TOKEN" help:"NATS token"`
	NATSUser             string `env:"NATS_USER" help:"NATS user name"`
	NATSPassword         Secret `env:"NATS_PASSWORD" help:"password of that user"`
	NATSCAFile           string `env:"NATS_CA_FILE" help:"CA certificates for TLS to NATS, PEM, in place of the system's"`
	NATSCertFile         string `env:"NATS_CERT_FILE" help:"TLS client certificate for NATS, PEM"`
	NATSKeyFile          string `env:"NATS_KEY_FILE" help:"private key of that certificate, PEM"`
	NATSHandshakeFirst   bool   `env:"NATS_TLS_HANDSHAKE_FIRST, default=false" help:"TLS handshake before the NATS protocol, for servers with handshake_first: true"`
	NATSIgnoreDiscovered bool   `env:"NATS_IGNORE_DISCOVERED_SERVERS, default=false" help:"connections to the servers of NATS_URL only, never to those that the cluster advertises"`
	NATSInboxPrefix      string `env:"NATS_INBOX_PREFIX, default=_INBOX_SINE_RELAY" help:"subject prefix of replies to the relay; no other user should have permission to subscribe to it"`
	NATSReplicas         int    `env:"NATS_REPLICAS, default=1" help:"replicas of the streams that the relay creates, 1 to 5"`
	GroupCommit          string `env:"GROUP_COMMIT, default=auto" help:"storing messages that wait together in one atomic batch: on, off, or auto, which is on where every message is synced: by the embedded NATS, and by an external NATS 2.15 or newer if SINE_RELAY_NATS_SYNC_INTERVAL is 0s. Elsewhere it halves the throughput"`

	NATSSyncInterval   time.Duration `env:"NATS_SYNC_INTERVAL, default=2m" unit:"duration" help:"sync_interval of an external NATS; 0s if it is always. What NATS acknowledged is kept with the spool for half as long again, and sent once more when NATS may have lost it"`
	SubjectPrefix      string        `env:"SUBJECT_PREFIX, default=visitors" help:"prefix of every NATS subject"`
	EventStream        string        `env:"EVENT_STREAM, default=VISITORS" help:"name of the stream of events"`
	EventMaxAge        time.Duration `env:"EVENT_STREAM_MAX_AGE, default=30d" unit:"duration" help:"retention of events"`
	EventMaxBytes      int64         `env:"EVENT_STREAM_MAX_BYTES, default=2GiB" unit:"bytes" help:"maximum size of the event stream; when full, it refuses new events"`
	DecisionStream     string        `env:"DECISION_STREAM, default=VISITOR_DECISIONS" help:"name of the stream of decision records"`
	DecisionMaxAge     time.Duration `env:"DECISION_STREAM_MAX_AGE, default=400d" unit:"duration" help:"retention of decision records"`
	DecisionMaxBytes   int64         `env:"DECISION_STREAM_MAX_BYTES, default=256MiB" unit:"bytes" help:"maximum size of the stream of decision records"`
	QuarantineStream   string        `env:"QUARANTINE_STREAM, default=VISITOR_QUARANTINE" help:"name of the stream of quarantined messages"`
	QuarantineMaxAge   time.Duration `env:"QUARANTINE_STREAM_MAX_AGE, default=30d" unit:"duration" help:"retention of quarantined messages"`
	QuarantineMaxBytes int64         `env:"QUARANTINE_STREAM_MAX_BYTES, default=512MiB" unit:"bytes" help:"maximum size of the quarantine stream"`
	OrderBucket        string        `env:"ORDER_BUCKET, default=VISITOR_ORDERS" help:"name of the key-value bucket of standing orders (lockdown, override)"`
	OrdersMaxAge       time.Duration `env:"ORDERS_MAX_AGE, default=30s" unit:"duration" help:"time for which standing orders count as known after they were read; once unknown, no override applies and no fallback accepts"`
	OrdersDeciders     bool          `env:"ORDERS_UNKNOWN_OBEY_DECIDERS, default=true" help:"whether a decider's acceptance counts while the standing orders are unknown"`
	OverrideMax        time.Duration `env:"OVERRIDE_MAX_DURATION, default=24h" unit:"duration" help:"maximum duration of an override; a longer one is ignored"`
	DedupeWindow       time.Duration `env:"STREAM_DEDUPE_WINDOW, default=24h" unit:"duration" help:"time for which a duplicate event is recognized"`

	Keys             Secret `env:"KEYS" help:"API keys of the integration \"default\", comma-separated"`
	Site             string `env:"SITE, default=default" help:"site of the integration \"default\""`
	TimeZone         string `env:"TIME_ZONE, default=UTC" help:"IANA time zone of the sites whose integrations have none, such as Australia/Adelaide; deciders get it, and dates without a zone are read in it"`
	IntegrationsFile string `env:"INTEGRATIONS_FILE" help:"file of integrations, YAML or JSON"`
	KeysDir          string `env:"KEYS_DIR" help:"directory of their API keys: one file per integration, of its name, with one key per line"`

	DecisionBudget time.Duration `env:"DECISION_BUDGET, default=2.5s" unit:"duration" help:"maximum time for a decision, for integrations without a decisionBudget"`
	StoreBudget    time.Duration `env:"STORE_BUDGET, default=2s" unit:"duration" help:"maximum time to store an event before it is refused"`

	SpoolDir      string        `env:"SPOOL_DIR" help:"directory of the spool, for events that NATS cannot store at the moment; without it they are refused"`
	SpoolMaxBytes int64         `env:"SPOOL_MAX_BYTES, default=1GiB" unit:"bytes" help:"maximum size of the messages in the spool; the disk should have twice as much"`
	SpoolMaxAge   time.Duration `env:"SPOOL_MAX_AGE, default=24h" unit:"duration" help:"age from which messages in the spool are reported by a metric"`

	StateDir string `env:"STATE_DIR" help:"directory for the last known standing orders, read at the next start; SPOOL_DIR or NATS_STORE_DIR unless set"`

	BodyLimit          int64         `env:"BODY_LIMIT, default=256KiB" unit:"bytes" help:"maximum size of a request body"`
	HeaderLimit        int64         `env:"HEADER_LIMIT, default=16KiB" unit:"bytes" help:"maximum size of the header of a request"`
	JSONDepth          int           `env:"JSON_DEPTH, default=32" help:"maximum nesting depth of a JSON body"`
	ReadTimeout        time.Duration `env:"READ_TIMEOUT, default=5s" unit:"duration" help:"maximum time for a client to send a request"`
	WriteTimeout       time.Duration `env:"WRITE_TIMEOUT, default=10s" unit:"duration" help:"maximum time for a response, from the request's header to the last byte; longer than every budget"`
	IdleTimeout        time.Duration `env:"IDLE_TIMEOUT, default=2m" unit:"duration" help:"maximum time for which a connection without a request is kept open"`
	MaxConnections     int           `env:"MAX_CONNECTIONS, default=1000" help:"maximum connections on the public listener; beyond it, those that showed no valid API key are closed first"`
	MaxCheckInRequests int64         `env:"MAX_CHECK_IN_REQUESTS, default=512" help:"maximum check-in requests in flight; beyond it, the fallback for overload applies"`
	MaxEvents          int64         `env:"MAX_EVENTS, default=256" help:"maximum events being stored at once; further ones wait"`
	MaxWaitingEvents   int64         `env:"MAX_WAITING_EVENTS, default=10000" help:"maximum events waiting to be stored; further ones are refused"`
	MaxBodyMemory      int64         `env:"MAX_BODY_MEMORY, default=64MiB" unit:"bytes" help:"maximum memory for bodies in flight, each counted as six times its length plus 24 KiB; a quarter is reserved for check-in requests"`

	DrainDelay      time.Duration `env:"DRAIN_DELAY, default=5s" unit:"duration" help:"time between a termination signal, which makes the relay unready, and the end of new requests"`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT, default=20s" unit:"duration" help:"maximum time for requests in flight to finish after DRAIN_DELAY"`

	DeskListen           string        `env:"DESK_LISTEN, default=127.0.0.1:8081" help:"address of the desk for people, host:port; beyond loopback it demands OIDC or a trusted proxy"`
	DeskAdminListen      string        `env:"DESK_ADMIN_LISTEN, default=:9091" help:"address of the desk's admin listener (/metrics, /livez, /readyz), host:port; never expose it publicly"`
	DeskTLSCertFile      string        `env:"DESK_TLS_CERT_FILE" help:"TLS certificate of the desk, PEM; enables HTTPS"`
	DeskTLSKeyFile       string        `env:"DESK_TLS_KEY_FILE" help:"private key of that certificate, PEM"`
	DeskURL              string        `env:"DESK_URL" help:"URL under which people reach the desk, such as https://desk.example.com; OIDC returns there, to /callback"`
	DeskOIDCIssuer       string        `env:"DESK_OIDC_ISSUER" help:"issuer URL of the OpenID Connect provider by which people sign in to the desk"`
	DeskOIDCClientID     string        `env:"DESK_OIDC_CLIENT_ID" help:"client id of the desk at the provider"`
	DeskOIDCClientSecret Secret        `env:"DESK_OIDC_CLIENT_SECRET" help:"client secret of the desk at the provider"`
	DeskOIDCScopes       string        `env:"DESK_OIDC_SCOPES, default=profile" help:"scopes that the desk asks for beside openid, separated by blanks; some providers tell the groups only for a scope of that name"`
	DeskOIDCNameClaim    string        `env:"DESK_OIDC_NAME_CLAIM, default=name" help:"claim of the ID token with the name that the page shows its user"`
	DeskOIDCGroupsClaim  string        `env:"DESK_OIDC_GROUPS_CLAIM, default=groups" help:"claim of the ID token with the groups of the user"`
	DeskUserHeader       string        `env:"DESK_PROXY_USER_HEADER" help:"header in which a trusted proxy says who the user is, in place of OIDC"`
	DeskGroupsHeader     string        `env:"DESK_PROXY_GROUPS_HEADER" help:"header in which that proxy says the groups of the user, comma-separated"`
	DeskTrustedProxies   string        `env:"DESK_TRUSTED_PROXIES" help:"addresses or networks of the proxies whose word about the user, and about the client's address, counts at the desk, comma-separated"`
	DeskRolesFile        string        `env:"DESK_ROLES_FILE" help:"file of the roles that groups have at the desk, YAML or JSON"`
	DeskSessionKeys      Secret        `env:"DESK_SESSION_KEYS" help:"keys that seal the sessions of the desk, comma-separated, each of 32 or more characters; the first seals, all open. Without them a restart ends every session, and two desks do not know each other's"`
	DeskSessionLifetime  time.Duration `env:"DESK_SESSION_LIFETIME, default=8h" unit:"duration" help:"time after which somebody must sign in to the desk again"`
	DeskStream           string        `env:"DESK_STREAM, default=VISITOR_DESK" help:"name of the stream that says what was done at the desk, and by whom"`
	DeskStreamMaxAge     time.Duration `env:"DESK_STREAM_MAX_AGE, default=400d" unit:"duration" help:"retention of that"`
	DeskStreamMaxBytes   int64         `env:"DESK_STREAM_MAX_BYTES, default=256MiB" unit:"bytes" help:"maximum size of that stream"`
	DeskTryURL           string        `env:"DESK_TRY_URL" help:"URL of a relay, without a path, at which operators may check made-up visitors in and out from the desk, at integrations with test: true"`
	DeskTryKeysDir       string        `env:"DESK_TRY_KEYS_DIR" help:"directory of the API keys of those integrations, as KEYS_DIR has them"`

	LogLevel  string `env:"LOG_LEVEL, default=info" help:"minimum level of log lines: debug, info, warn or error"`
	LogFormat string `env:"LOG_FORMAT, default=auto" help:"format of log lines: json, text, or auto, which is text on a terminal"`
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
	// Desk is set for what is of the desk alone, and Shared for what it has in common
	// with the relay.
	Desk, Shared bool
}

// Flags are those of all settings, in the order of the table.
func Flags() (all []Flag) {
	for _, s := range settings {
		f := Flag{
			Name: flagName(s.name), Variable: Prefix + s.name, Default: s.initial, Help: s.help, Type: s.flagType(), Secret: s.secret,
			Desk: strings.HasPrefix(s.name, "DESK_"), Shared: sharedWithDesk(s.name),
		}
		all = append(all, f)
		if s.secret {
			f.Name, f.Variable, f.Type, f.Secret, f.Help = f.Name+"-file", f.Variable+"_FILE", "string", false, fmt.Sprintf("file that holds %s: %s", f.Variable, s.help)
			all = append(all, f)
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
