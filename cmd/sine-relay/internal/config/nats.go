package config

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	streamName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	subjectPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

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
		f.setting("NATS_STORE_DIR", "is set, and so is SINE_RELAY_NATS_URL: set the one for the embedded NATS or the other for an existing one")
	case s.NATSURL == "" && s.NATSStoreDir == "" && s.keys == keyless:
		f.setting("NATS_URL", "is not set: set it to where the relay's NATS listens%s", s.orContext)
	case s.NATSURL == "" && s.NATSStoreDir == "":
		f.setting("NATS_URL", "is not set: set it to the servers of your NATS, or set SINE_RELAY_NATS_STORE_DIR to run the embedded one")
	case s.NATSURL != "" && len(s.NATSServers()) == 0:
		f.setting("NATS_URL", "holds no server; write for example nats://nats:4222")
	}
	schemes, signedIn := s.checkURLs(f)
	if schemes["ws"] && schemes["nats"] {
		f.setting("NATS_URL", "mixes servers over WebSocket (ws, wss) with others (nats, tls): use one kind")
	}
	s.checkHandshake(f, schemes)
	s.checkSignIn(f, signedIn)
	switch {
	case s.NATSReplicas < 1 || s.NATSReplicas > 5:
		f.setting("NATS_REPLICAS", "%d is not between 1 and 5", s.NATSReplicas)
	case s.NATSReplicas > 1 && s.NATSStoreDir != "":
		f.setting("NATS_REPLICAS", "%d replicas need as many servers, and the embedded NATS is one", s.NATSReplicas)
	}
}

// checkURLs returns which kinds of connection the servers' URLs ask for, and
// whether one says who signs in. Its problems quote nothing: any part of a URL
// that went wrong may be a password.
func (s *Settings) checkURLs(f *Problems) (kinds map[string]bool, signedIn bool) {
	kinds = map[string]bool{}
	for i, server := range s.NATSServers() {
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" || !validPort(u.Port()) {
			f.setting("NATS_URL", "server %d is not a URL; write for example nats://nats:4222", i+1)
			continue
		}
		signedIn = signedIn || u.User != nil
		switch u.Scheme {
		case "nats", "tls":
			kinds["nats"] = true
		case "ws", "wss":
			kinds["ws"] = true
		default:
			f.setting("NATS_URL", "server %d begins with none of nats://, tls://, ws:// and wss://", i+1)
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
		f.setting(name, "is for an existing NATS, and the embedded one needs no connection by TLS: unset it")
	case kinds["ws"]:
		f.setting(name, "is for tls:// and not for WebSocket (ws, wss), which has its own handshake: unset it")
	case s.NATSCAFile == "" && s.NATSCertFile == "" && strings.Contains(s.NATSURL.Reveal(), "nats://"):
		f.setting(name, "needs TLS: write tls:// in place of nats:// in SINE_RELAY_NATS_URL")
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
		f.add(strings.Join(given, ", "), "are %d ways to sign in to NATS: set one", len(given))
	}
}

// checkInbox keeps answers apart from what has another meaning.
func (s *Settings) checkInbox(f *Problems) {
	switch first, _, _ := strings.Cut(s.NATSInboxPrefix, "."); {
	case !subjectPrefix.MatchString(s.NATSInboxPrefix):
		f.setting("NATS_INBOX_PREFIX", "%q is not a valid subject; write names of letters, digits, _ and -, joined by dots", s.NATSInboxPrefix)
	case strings.HasPrefix(s.NATSInboxPrefix+".", s.SubjectPrefix+"."), strings.HasPrefix(s.SubjectPrefix+".", s.NATSInboxPrefix+"."):
		f.setting("NATS_INBOX_PREFIX", "%q and SINE_RELAY_SUBJECT_PREFIX begin alike: a stream could take the answers", s.NATSInboxPrefix)
	case first == "_INBOX" && s.NATSURL != "":
		s.Warnings.setting("NATS_INBOX_PREFIX", "%s: whoever may subscribe to _INBOX.>, as most users of NATS may, hears what the relay is told", s.NATSInboxPrefix)
	}
}

func (s *Settings) checkStreams(f *Problems) {
	if !subjectPrefix.MatchString(s.SubjectPrefix) {
		f.setting("SUBJECT_PREFIX", "%q is not a valid subject; write names of letters, digits, _ and -, joined by dots", s.SubjectPrefix)
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
		if !streamName.MatchString(stream.name) {
			f.setting(stream.variable, "%q is not a name for a stream; use letters, digits, _ and -", stream.name)
		}
		if stream.age < s.DedupeWindow {
			f.setting(stream.variable+"_MAX_AGE", "%s is shorter than SINE_RELAY_STREAM_DEDUPE_WINDOW, %s", stream.age, s.DedupeWindow)
		}
		positive(f, stream.variable+"_MAX_BYTES", stream.bytes)
		if other := owner[stream.name]; other != "" {
			f.setting(stream.variable, "is the name of another stream, too: %s%s", Prefix, other)
		}
		owner[stream.name] = stream.variable
	}
	s.checkInbox(f)
	if !streamName.MatchString(s.OrderBucket) {
		f.setting("ORDER_BUCKET", "%q is not a name for a bucket; use letters, digits, _ and -", s.OrderBucket)
	}
	if s.OrdersMaxAge < 5*time.Second {
		f.setting("ORDERS_MAX_AGE", "%s is less than 5s: the orders are read three times in this time", s.OrdersMaxAge)
	}
	positive(f, "OVERRIDE_MAX_DURATION", int64(s.OverrideMax))
	positive(f, "STREAM_DEDUPE_WINDOW", int64(s.DedupeWindow))
}
