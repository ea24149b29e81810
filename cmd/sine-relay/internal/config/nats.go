package config

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	streamName    = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	subjectPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

func validStream(name string) bool { return len(name) <= 255 && streamName.MatchString(name) }

// Whether messages are stored in batches.
const (
	GroupCommitAuto = "auto"
	GroupCommitOn   = "on"
	GroupCommitOff  = "off"
)

// NATSSynced reports whether NATS syncs every message before it acknowledges it.
func (s Settings) NATSSynced() bool { return s.NATSURL == "" || s.NATSSyncInterval == 0 }

// WindowAge is for how long a message is kept that NATS has acknowledged: one and a half
// times as long as NATS may take to sync it. It is 0 where NATS syncs every message.
func (s Settings) WindowAge() time.Duration {
	if s.NATSSynced() {
		return 0
	}
	return s.NATSSyncInterval + s.NATSSyncInterval/2
}

// Batches reports whether messages that wait together are stored in one batch.
func (s Settings) Batches() bool {
	return s.GroupCommit == GroupCommitOn || s.GroupCommit == GroupCommitAuto && s.NATSSynced()
}

func (s *Settings) checkSync(f *Problems) {
	switch {
	case s.NATSSyncInterval < 0:
		f.setting("NATS_SYNC_INTERVAL", "must not be negative, got %s", s.NATSSyncInterval)
	case s.WindowAge() >= s.DedupeWindow && s.DedupeWindow > 0:
		// What is sent again would be stored again.
		f.setting("NATS_SYNC_INTERVAL", "must be shorter than two thirds of SINE_RELAY_STREAM_DEDUPE_WINDOW (%s), got %s", s.DedupeWindow, s.NATSSyncInterval)
	}
	switch s.GroupCommit {
	case GroupCommitAuto, GroupCommitOn, GroupCommitOff:
	default:
		f.setting("GROUP_COMMIT", "must be auto, on or off, got %q", s.GroupCommit)
	}
}

// NATSServers are the servers of the existing NATS, or none.
func (s Settings) NATSServers() []string {
	var servers []string
	for server := range strings.SplitSeq(s.NATSURL.Reveal(), ",") {
		if server = strings.TrimSpace(server); server != "" {
			servers = append(servers, server)
		}
	}
	return servers
}

func (s *Settings) checkServers(f *Problems) {
	switch {
	case s.NATSURL != "" && s.NATSStoreDir != "" && s.keys == keyless:
		s.NATSStoreDir = "" // a command that runs none, where the relay's settings are
	case s.NATSURL != "" && s.NATSStoreDir != "":
		f.setting("NATS_STORE_DIR", "must not be set together with SINE_RELAY_NATS_URL, which is for an existing NATS")
	case s.NATSURL == "" && s.NATSStoreDir == "" && s.keys == keyless:
		f.setting("NATS_URL", "is required: set it to the address of the relay's NATS%s", s.orContext)
	case s.NATSURL == "" && s.NATSStoreDir == "":
		f.setting("NATS_URL", "is required: set it to the servers of your NATS, or set SINE_RELAY_NATS_STORE_DIR to run the embedded NATS")
	case s.NATSURL != "" && len(s.NATSServers()) == 0:
		f.setting("NATS_URL", "must contain a server, for example nats://nats:4222")
	}
	schemes, signedIn := s.checkURLs(f)
	if schemes["ws"] && schemes["nats"] {
		f.setting("NATS_URL", "must not mix WebSocket servers (ws, wss) with others (nats, tls)")
	}
	s.checkHandshake(f, schemes)
	s.checkSignIn(f, signedIn)
	switch {
	case s.NATSReplicas < 1 || s.NATSReplicas > 5:
		f.setting("NATS_REPLICAS", "must be between 1 and 5, got %d", s.NATSReplicas)
	case s.NATSReplicas > 1 && s.NATSStoreDir != "":
		f.setting("NATS_REPLICAS", "must be 1 for the embedded NATS, which is a single server, got %d", s.NATSReplicas)
	}
	s.checkSync(f)
}

// checkURLs returns which kinds of connection the servers' URLs ask for, and
// whether one says who signs in. Its problems quote nothing: any part of a URL
// that went wrong may be a password.
func (s *Settings) checkURLs(f *Problems) (kinds map[string]bool, signedIn bool) {
	kinds = map[string]bool{}
	for i, server := range s.NATSServers() {
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" || !validPort(u.Port()) {
			f.setting("NATS_URL", "server %d is not a valid URL such as nats://nats:4222", i+1)
			continue
		}
		signedIn = signedIn || u.User != nil
		switch u.Scheme {
		case "nats", "tls":
			kinds["nats"] = true
		case "ws", "wss":
			kinds["ws"] = true
		default:
			f.setting("NATS_URL", "server %d must begin with nats://, tls://, ws:// or wss://", i+1)
		}
	}
	return kinds, signedIn
}

// checkHandshake: only with TLS can the handshake come first.
func (s *Settings) checkHandshake(f *Problems, kinds map[string]bool) {
	const name = "NATS_TLS_HANDSHAKE_FIRST"
	switch {
	case !s.NATSHandshakeFirst:
	case s.NATSStoreDir != "":
		f.setting(name, "must not be set for the embedded NATS, which the relay reaches without TLS")
	case kinds["ws"]:
		f.setting(name, "must not be set for WebSocket servers (ws, wss), which have their own handshake")
	case s.NATSCAFile == "" && s.NATSCertFile == "" && strings.Contains(s.NATSURL.Reveal(), "nats://"):
		f.setting(name, "requires TLS: use tls:// in place of nats:// in SINE_RELAY_NATS_URL")
	}
}

func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

func (s *Settings) checkSignIn(f *Problems, byURL bool) {
	requireBoth(f, "NATS_USER", s.NATSUser, "NATS_PASSWORD", s.NATSPassword.Reveal())
	ways := map[string]bool{
		"NATS_CREDENTIALS_FILE": s.NATSCredentialsFile != "", "NATS_NKEY_FILE": s.NATSNKeyFile != "",
		"NATS_TOKEN": s.NATSToken != "", "NATS_USER": s.NATSUser != "", "NATS_URL (its user)": byURL,
	}
	var given []string
	for _, name := range sortedKeys(ways) {
		if ways[name] {
			given = append(given, Prefix+name)
		}
	}
	if len(given) > 1 {
		f.add(strings.Join(given, ", "), "only one of these %d ways to authenticate to NATS may be set", len(given))
	}
}

// checkInbox keeps the subjects of replies disjoint from all others.
func (s *Settings) checkInbox(f *Problems) {
	switch first, _, _ := strings.Cut(s.NATSInboxPrefix, "."); {
	case !subjectPrefix.MatchString(s.NATSInboxPrefix):
		f.setting("NATS_INBOX_PREFIX", "must be names of letters, digits, _ and -, joined by dots, got %q", s.NATSInboxPrefix)
	case strings.HasPrefix(s.NATSInboxPrefix+".", s.SubjectPrefix+"."), strings.HasPrefix(s.SubjectPrefix+".", s.NATSInboxPrefix+"."):
		f.setting("NATS_INBOX_PREFIX", "must not overlap SINE_RELAY_SUBJECT_PREFIX, got %q: a stream could store the replies", s.NATSInboxPrefix)
	case first == "_INBOX" && s.NATSURL != "":
		s.Warnings.setting("NATS_INBOX_PREFIX", "%s: every user with permission to subscribe to _INBOX.>, which most NATS users have, can read the replies to the relay", s.NATSInboxPrefix)
	}
}

func (s *Settings) checkStreams(f *Problems) {
	if !subjectPrefix.MatchString(s.SubjectPrefix) {
		f.setting("SUBJECT_PREFIX", "must be names of letters, digits, _ and -, joined by dots, got %q", s.SubjectPrefix)
	}
	owner := map[string]string{}
	for _, stream := range []struct {
		variable, name string
		age            time.Duration
		bytes          int64
	}{
		{"EVENT_STREAM", s.EventStream, s.EventMaxAge, s.EventMaxBytes},
		{"DECISION_STREAM", s.DecisionStream, s.DecisionMaxAge, s.DecisionMaxBytes},
		{"QUARANTINE_STREAM", s.QuarantineStream, s.QuarantineMaxAge, s.QuarantineMaxBytes},
	} {
		if !validStream(stream.name) {
			f.setting(stream.variable, "must be letters, digits, _ and -, got %q", stream.name)
		}
		if stream.age < s.DedupeWindow {
			f.setting(stream.variable+"_MAX_AGE", "must not be shorter than SINE_RELAY_STREAM_DEDUPE_WINDOW (%s), got %s", s.DedupeWindow, stream.age)
		}
		positive(f, stream.variable+"_MAX_BYTES", stream.bytes)
		if other := owner[stream.name]; other != "" {
			f.setting(stream.variable, "must differ from %s%s", Prefix, other)
		}
		owner[stream.name] = stream.variable
	}
	s.checkInbox(f)
	if !validStream(s.OrderBucket) {
		f.setting("ORDER_BUCKET", "must be letters, digits, _ and -, got %q", s.OrderBucket)
	}
	if s.OrdersMaxAge < 5*time.Second {
		f.setting("ORDERS_MAX_AGE", "must be at least 5s, got %s: the orders are read three times in this time", s.OrdersMaxAge)
	}
	positive(f, "OVERRIDE_MAX_DURATION", s.OverrideMax)
	positive(f, "STREAM_DEDUPE_WINDOW", s.DedupeWindow)
}
