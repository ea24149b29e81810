package config

import (
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	streamName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	subjectPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// check looks at the settings of the environment together.
func (s *Settings) check() Faults {
	var f Faults
	s.checkListeners(&f)
	s.checkNATS(&f)
	s.checkStreams(&f)
	s.checkLimits(&f)
	if err := s.Level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		s.Level = slog.LevelInfo
		f.add("SINE_RELAY_LOG_LEVEL", "%q is none of debug, info, warn, error", s.LogLevel)
	}
	if s.LogFormat != "json" && s.LogFormat != "text" && s.LogFormat != "auto" {
		f.add("SINE_RELAY_LOG_FORMAT", "%q is none of json, text, auto", s.LogFormat)
	}
	return f
}

func (s *Settings) checkListeners(f *Faults) {
	for name, address := range map[string]string{"LISTEN": s.Listen, "ADMIN_LISTEN": s.AdminListen, "NATS_LISTEN": s.NATSListen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			f.add(Prefix+name, "%q is no address; write host:port or :port", address)
		}
	}
	together(f, "TLS_CERT_FILE", s.TLSCertFile, "TLS_KEY_FILE", s.TLSKeyFile)
	together(f, "NATS_LISTEN_TLS_CERT_FILE", s.NATSListenTLSCert, "NATS_LISTEN_TLS_KEY_FILE", s.NATSListenTLSKey)
	together(f, "NATS_CERT_FILE", s.NATSCertFile, "NATS_KEY_FILE", s.NATSKeyFile)
	for name, file := range map[string]string{
		"TLS_CERT_FILE": s.TLSCertFile, "TLS_KEY_FILE": s.TLSKeyFile,
		"NATS_LISTEN_TLS_CERT_FILE": s.NATSListenTLSCert, "NATS_LISTEN_TLS_KEY_FILE": s.NATSListenTLSKey,
		"NATS_CERT_FILE": s.NATSCertFile, "NATS_KEY_FILE": s.NATSKeyFile, "NATS_CA_FILE": s.NATSCAFile,
		"NATS_CREDENTIALS_FILE": s.NATSCredentialsFile, "NATS_NKEY_FILE": s.NATSNKeyFile,
	} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			f.add(Prefix+name, "%v", err)
		}
	}
}

func together(f *Faults, a, valueA, b, valueB string) {
	if (valueA == "") == (valueB == "") {
		return
	}
	missing, given := a, b
	if valueB == "" {
		missing, given = b, a
	}
	f.add(Prefix+missing, "must be set together with %s", Prefix+given)
}

func (s *Settings) checkNATS(f *Faults) {
	switch {
	case s.NATSURL != "" && s.NATSStoreDir != "":
		f.add("SINE_RELAY_NATS_STORE_DIR", "is set, and so is SINE_RELAY_NATS_URL: set the one for the embedded NATS or the other for an existing one")
	case s.NATSURL == "" && s.NATSStoreDir == "":
		f.add("SINE_RELAY_NATS_URL", "is not set: set it to the servers of your NATS, or set SINE_RELAY_NATS_STORE_DIR to run the embedded one")
	}
	for i, server := range s.NATSServers() {
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" {
			f.add("SINE_RELAY_NATS_URL", "server %d is no URL; write for example nats://nats:4222", i+1)
		} else if !strings.Contains(" nats tls ws wss ", " "+u.Scheme+" ") {
			f.add("SINE_RELAY_NATS_URL", "server %d has the scheme %q; known are nats, tls, ws and wss", i+1, u.Scheme)
		}
	}
	var ways []string
	for name, given := range map[string]bool{
		"NATS_CREDENTIALS_FILE": s.NATSCredentialsFile != "", "NATS_NKEY_FILE": s.NATSNKeyFile != "",
		"NATS_TOKEN": s.NATSToken != "", "NATS_USER": s.NATSUser != "",
	} {
		if given {
			ways = append(ways, Prefix+name)
		}
	}
	if len(ways) > 1 {
		f.add(strings.Join(slices.Sorted(slices.Values(ways)), ", "), "are %d ways to sign in to NATS: set one", len(ways))
	}
	together(f, "NATS_USER", s.NATSUser, "NATS_PASSWORD", s.NATSPassword.Reveal())
	if s.NATSReplicas < 1 || s.NATSReplicas > 5 {
		f.add("SINE_RELAY_NATS_REPLICAS", "%d is not between 1 and 5", s.NATSReplicas)
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

func (s *Settings) checkStreams(f *Faults) {
	if !subjectPrefix.MatchString(s.SubjectPrefix) {
		f.add("SINE_RELAY_SUBJECT_PREFIX", "%q is no subject; write names of letters, digits, _ and -, joined by dots", s.SubjectPrefix)
	}
	for _, stream := range []struct {
		variable, name string
		age            time.Duration
		bytes          int64
	}{
		{"EVENT_STREAM", s.EventStream, s.EventMaxAge, s.EventMaxBytes},
		{"QUARANTINE_STREAM", s.QuarantineStream, s.QuarantineMaxAge, s.QuarantineMaxBytes},
	} {
		if !streamName.MatchString(stream.name) {
			f.add(Prefix+stream.variable, "%q is no name for a stream; use letters, digits, _ and -", stream.name)
		}
		if stream.age < s.DedupeWindow {
			f.add(Prefix+stream.variable+"_MAX_AGE", "%s is shorter than SINE_RELAY_STREAM_DEDUPE_WINDOW, %s", stream.age, s.DedupeWindow)
		}
		positive(f, stream.variable+"_MAX_BYTES", stream.bytes)
	}
	if s.EventStream == s.QuarantineStream {
		f.add("SINE_RELAY_QUARANTINE_STREAM", "is the name of the stream of events, too")
	}
	positive(f, "STREAM_DEDUPE_WINDOW", int64(s.DedupeWindow))
}

func (s *Settings) checkLimits(f *Faults) {
	for name, value := range map[string]int64{
		"DECISION_BUDGET": int64(s.DecisionBudget), "STORE_BUDGET": int64(s.StoreBudget),
		"BODY_LIMIT": s.BodyLimit, "HEADER_LIMIT": s.HeaderLimit, "JSON_DEPTH": int64(s.JSONDepth),
		"READ_TIMEOUT": int64(s.ReadTimeout), "WRITE_TIMEOUT": int64(s.WriteTimeout), "IDLE_TIMEOUT": int64(s.IdleTimeout),
		"MAX_REQUESTS": s.MaxRequests, "MAX_FACTS": s.MaxFacts, "MAX_WAITING_FACTS": s.MaxWaitingFacts,
		"SHUTDOWN_TIMEOUT": int64(s.ShutdownTimeout),
	} {
		positive(f, name, value)
	}
	if s.DrainDelay < 0 {
		f.add("SINE_RELAY_DRAIN_DELAY", "%s is negative", s.DrainDelay)
	}
	if s.MaxBodyMemory < s.BodyLimit {
		f.add("SINE_RELAY_MAX_BODY_MEMORY", "%d bytes is less than SINE_RELAY_BODY_LIMIT, %d: no body would fit", s.MaxBodyMemory, s.BodyLimit)
	}
	for name, budget := range map[string]time.Duration{"DECISION_BUDGET": s.DecisionBudget, "STORE_BUDGET": s.StoreBudget} {
		if budget >= s.WriteTimeout {
			f.add(Prefix+name, "%s is not shorter than SINE_RELAY_WRITE_TIMEOUT, %s: the answer would never leave", budget, s.WriteTimeout)
		}
	}
}

func positive(f *Faults, name string, value int64) {
	if value <= 0 {
		f.add(Prefix+name, "must be more than nothing")
	}
}
