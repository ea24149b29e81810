package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/clientip"
	"github.com/sine-relay/sine-relay/visit"
)

// check looks at the settings of the environment, alone and together.
func (s *Settings) check(f *Problems) {
	s.checkListeners(f)
	s.checkProxies(f)
	s.checkFiles(f)
	s.checkServers(f)
	s.checkStreams(f)
	s.checkLimits(f)
	if !visit.ValidName(s.Site) {
		f.setting("SITE", "%s", invalidName(s.Site))
	}
	if err := s.Level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		s.Level = slog.LevelInfo
		f.setting("LOG_LEVEL", "%q is none of debug, info, warn, error", s.LogLevel)
	}
	if s.LogFormat != "json" && s.LogFormat != "text" && s.LogFormat != "auto" {
		f.setting("LOG_FORMAT", "%q is none of json, text, auto", s.LogFormat)
	}
}

// invalidName says that a value names no integration, site or decider.
func invalidName(value string) string {
	if value == "" {
		return "is missing"
	}
	what := strconv.Quote(value) + " must match " + visit.NamePattern
	if better := relay.SuggestName(value); better != "" {
		what += "; how about " + strconv.Quote(better) + "?"
	}
	return what
}

func (s *Settings) checkListeners(f *Problems) {
	for _, l := range []struct{ name, address string }{
		{"LISTEN", s.Listen}, {"ADMIN_LISTEN", s.AdminListen}, {"NATS_LISTEN", s.NATSListen},
	} {
		_, port, err := net.SplitHostPort(l.address)
		if err == nil {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil || port == "" {
			f.setting(l.name, "%q is not an address; write host:port or :port", l.address)
		}
	}
	if _, port, _ := net.SplitHostPort(s.Listen); s.Listen == s.AdminListen && port != "0" {
		f.setting("ADMIN_LISTEN", "%s is SINE_RELAY_LISTEN as well: the admin listener needs a port of its own", s.AdminListen)
	}
}

func (s *Settings) checkFiles(f *Problems) {
	checkPair(f, "TLS_CERT_FILE", s.TLSCertFile, "TLS_KEY_FILE", s.TLSKeyFile)
	checkPair(f, "NATS_LISTEN_TLS_CERT_FILE", s.NATSListenTLSCert, "NATS_LISTEN_TLS_KEY_FILE", s.NATSListenTLSKey)
	checkPair(f, "NATS_CERT_FILE", s.NATSCertFile, "NATS_KEY_FILE", s.NATSKeyFile)
	readable(f, "NATS_CREDENTIALS_FILE", s.NATSCredentialsFile)
	readable(f, "NATS_NKEY_FILE", s.NATSNKeyFile)
	if pem, ok := readable(f, "NATS_CA_FILE", s.NATSCAFile); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		f.setting("NATS_CA_FILE", "%s holds no certificate in PEM", s.NATSCAFile)
	}
}

// checkPair looks at a certificate and its key.
func checkPair(f *Problems, certName, certFile, keyName, keyFile string) {
	requireBoth(f, certName, certFile, keyName, keyFile)
	cert, haveCert := readable(f, certName, certFile)
	key, haveKey := readable(f, keyName, keyFile)
	if !haveCert || !haveKey {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		f.setting(certName, "%s and %s are no certificate and its key: %v", certFile, keyFile, err)
	}
}

// readable returns a file's content, if one is named and can be read.
func readable(f *Problems, name, file string) ([]byte, bool) {
	if file == "" {
		return nil, false
	}
	content, err := readRegular(file, largestFile)
	if err != nil {
		f.unreadable(name, err)
	}
	return content, err == nil
}

func requireBoth(f *Problems, a, valueA, b, valueB string) {
	if (valueA == "") == (valueB == "") {
		return
	}
	missing, given := a, b
	if valueB == "" {
		missing, given = b, a
	}
	f.setting(missing, "must be set together with %s", Prefix+given)
}

func (s *Settings) checkLimits(f *Problems) {
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"DECISION_BUDGET", int64(s.DecisionBudget)}, {"STORE_BUDGET", int64(s.StoreBudget)},
		{"BODY_LIMIT", s.BodyLimit}, {"HEADER_LIMIT", s.HeaderLimit}, {"JSON_DEPTH", int64(s.JSONDepth)},
		{"READ_TIMEOUT", int64(s.ReadTimeout)}, {"WRITE_TIMEOUT", int64(s.WriteTimeout)}, {"IDLE_TIMEOUT", int64(s.IdleTimeout)},
		{"MAX_CONNECTIONS", int64(s.MaxConnections)}, {"MAX_CHECK_IN_REQUESTS", s.MaxCheckInRequests}, {"MAX_EVENTS", s.MaxEvents}, {"MAX_WAITING_EVENTS", s.MaxWaitingEvents},
		{"SHUTDOWN_TIMEOUT", int64(s.ShutdownTimeout)}, {"SPOOL_MAX_BYTES", s.SpoolMaxBytes}, {"SPOOL_MAX_AGE", int64(s.SpoolMaxAge)},
	} {
		positive(f, limit.name, limit.value)
	}
	if s.DrainDelay < 0 {
		f.setting("DRAIN_DELAY", "%s is negative", s.DrainDelay)
	}
	if cost := relay.BodyCost(s.BodyLimit); s.MaxBodyMemory < cost {
		f.setting("MAX_BODY_MEMORY", "%d bytes is less than %d, which a body of SINE_RELAY_BODY_LIMIT takes up: set at least that", s.MaxBodyMemory, cost)
	}
	for _, budget := range []struct {
		name  string
		value time.Duration
	}{{"DECISION_BUDGET", s.DecisionBudget}, {"STORE_BUDGET", s.StoreBudget}} {
		if problem := s.outlasts(budget.value); problem != "" {
			f.setting(budget.name, "%s", problem)
		}
	}
	if s.ReadTimeout+s.StoreBudget >= s.WriteTimeout {
		f.setting("WRITE_TIMEOUT", "%s is not longer than SINE_RELAY_READ_TIMEOUT and SINE_RELAY_STORE_BUDGET together, %s: the answer to a slow caller would never leave", s.WriteTimeout, s.ReadTimeout+s.StoreBudget)
	}
}

// outlasts says what is wrong with a budget that outlasts the answer, or nothing.
func (s *Settings) outlasts(budget time.Duration) string {
	if budget < s.WriteTimeout {
		return ""
	}
	return fmt.Sprintf("%s is not shorter than SINE_RELAY_WRITE_TIMEOUT, %s: the answer would never leave", budget, s.WriteTimeout)
}

func positive(f *Problems, name string, value int64) {
	if value <= 0 {
		f.setting(name, "must be positive")
	}
}

// What becomes of calls that came by plain http.
const (
	PlainHTTPCount  = "count"
	PlainHTTPRefuse = "refuse"
)

// checkProxies reads who may say where a call comes from.
func (s *Settings) checkProxies(f *Problems) {
	var entries []string
	for entry := range strings.SplitSeq(s.TrustedProxies, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	trusted, err := clientip.ParsePrefixes(entries)
	if err != nil {
		f.setting("TRUSTED_PROXIES", "%s", oneLine(err))
	}
	for _, prefix := range trusted {
		if prefix.Bits() == 0 {
			f.setting("TRUSTED_PROXIES", "%s is everybody: any caller could claim any address", prefix)
		}
	}
	header, err := clientip.ParseHeader(s.ForwardedHeader)
	if err != nil {
		f.setting("FORWARDED_HEADER", "%v", err)
	}
	if s.PlainHTTP != PlainHTTPCount && s.PlainHTTP != PlainHTTPRefuse {
		f.setting("PLAIN_HTTP", "%q is neither count nor refuse", s.PlainHTTP)
	}
	s.Proxies = clientip.Proxies{Trusted: trusted, Header: header}
}

// allowFrom keeps an empty list apart from none: it undoes a default.
func (p fieldPath) allowFrom(entries []string) []netip.Prefix {
	if entries == nil {
		return nil
	}
	allowed, err := clientip.ParsePrefixes(entries)
	if err != nil {
		p.add("allowFrom", "%s", oneLine(err))
	}
	return append([]netip.Prefix{}, allowed...)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
