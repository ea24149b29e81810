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

	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/relay"
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
		f.setting("LOG_LEVEL", "must be debug, info, warn or error, got %q", s.LogLevel)
	}
	if s.LogFormat != "json" && s.LogFormat != "text" && s.LogFormat != "auto" {
		f.setting("LOG_FORMAT", "must be json, text or auto, got %q", s.LogFormat)
	}
}

// invalidName says what is wrong with the name of an integration, site or decider.
func invalidName(value string) string {
	if value == "" {
		return "is required"
	}
	what := "must match " + visit.NamePattern + ", got " + strconv.Quote(value)
	if better := relay.SuggestName(value); better != "" {
		what += "; did you mean " + strconv.Quote(better) + "?"
	}
	return what
}

func (s *Settings) checkListeners(f *Problems) {
	for _, l := range []struct{ name, address string }{
		{"LISTEN", s.Listen}, {"ADMIN_LISTEN", s.AdminListen}, {"NATS_LISTEN", s.NATSListen},
	} {
		checkAddress(f, l.name, l.address)
	}
	if _, port, _ := net.SplitHostPort(s.Listen); s.Listen == s.AdminListen && port != "0" {
		f.setting("ADMIN_LISTEN", "must differ from SINE_RELAY_LISTEN, got %s for both", s.AdminListen)
	}
}

// checkAddress looks at an address to listen on.
func checkAddress(f *Problems, name, address string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		f.setting(name, "must be host:port or :port, got %q", address)
	}
}

func (s *Settings) checkFiles(f *Problems) {
	checkPair(f, "TLS_CERT_FILE", s.TLSCertFile, "TLS_KEY_FILE", s.TLSKeyFile)
	checkPair(f, "NATS_LISTEN_TLS_CERT_FILE", s.NATSListenTLSCert, "NATS_LISTEN_TLS_KEY_FILE", s.NATSListenTLSKey)
	checkPair(f, "NATS_CERT_FILE", s.NATSCertFile, "NATS_KEY_FILE", s.NATSKeyFile)
	readable(f, "NATS_CREDENTIALS_FILE", s.NATSCredentialsFile)
	readable(f, "NATS_NKEY_FILE", s.NATSNKeyFile)
	if pem, ok := readable(f, "NATS_CA_FILE", s.NATSCAFile); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		f.setting("NATS_CA_FILE", "%s must contain a certificate in PEM", s.NATSCAFile)
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
		f.setting(certName, "%s and %s must be a certificate and its private key: %v", certFile, keyFile, err)
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
	positive(f, "DECISION_BUDGET", s.DecisionBudget)
	positive(f, "STORE_BUDGET", s.StoreBudget)
	positive(f, "BODY_LIMIT", s.BodyLimit)
	positive(f, "HEADER_LIMIT", s.HeaderLimit)
	positive(f, "JSON_DEPTH", s.JSONDepth)
	positive(f, "READ_TIMEOUT", s.ReadTimeout)
	positive(f, "WRITE_TIMEOUT", s.WriteTimeout)
	positive(f, "IDLE_TIMEOUT", s.IdleTimeout)
	positive(f, "MAX_CONNECTIONS", s.MaxConnections)
	positive(f, "MAX_CHECK_IN_REQUESTS", s.MaxCheckInRequests)
	positive(f, "MAX_EVENTS", s.MaxEvents)
	positive(f, "MAX_WAITING_EVENTS", s.MaxWaitingEvents)
	positive(f, "SHUTDOWN_TIMEOUT", s.ShutdownTimeout)
	positive(f, "SPOOL_MAX_BYTES", s.SpoolMaxBytes)
	positive(f, "SPOOL_MAX_AGE", s.SpoolMaxAge)
	if s.DrainDelay < 0 {
		f.setting("DRAIN_DELAY", "must not be negative, got %s", s.DrainDelay)
	}
	if cost := relay.BodyCost(s.BodyLimit); s.MaxBodyMemory < cost {
		f.setting("MAX_BODY_MEMORY", "must be at least %d bytes, the memory of one body of SINE_RELAY_BODY_LIMIT, got %d", cost, s.MaxBodyMemory)
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
		f.setting("WRITE_TIMEOUT", "must be longer than SINE_RELAY_READ_TIMEOUT plus SINE_RELAY_STORE_BUDGET (%s), got %s: the response to a slow client would be cut off", s.ReadTimeout+s.StoreBudget, s.WriteTimeout)
	}
}

// outlasts says what is wrong with a budget that outlasts the response, or "".
func (s *Settings) outlasts(budget time.Duration) string {
	if budget < s.WriteTimeout {
		return ""
	}
	return fmt.Sprintf("must be shorter than SINE_RELAY_WRITE_TIMEOUT (%s), got %s: the response would be cut off", s.WriteTimeout, budget)
}

func positive[T int | int64 | time.Duration](f *Problems, name string, value T) {
	if value <= 0 {
		f.setting(name, "must be positive, got %v", value)
	}
}

// What becomes of calls that came by plain http.
const (
	PlainHTTPCount  = "count"
	PlainHTTPRefuse = "refuse"
)

// checkProxies reads who may say where a call comes from.
func (s *Settings) checkProxies(f *Problems) {
	trusted, err := clientip.ParsePrefixes(listOf(s.TrustedProxies))
	if err != nil {
		f.setting("TRUSTED_PROXIES", "%s", oneLine(err))
	}
	for _, prefix := range trusted {
		if prefix.Bits() == 0 {
			f.setting("TRUSTED_PROXIES", "must not contain %s, which is every address: any client could claim any address", prefix)
		}
	}
	header, err := clientip.ParseHeader(s.ForwardedHeader)
	if err != nil {
		f.setting("FORWARDED_HEADER", "%v", err)
	}
	if s.PlainHTTP != PlainHTTPCount && s.PlainHTTP != PlainHTTPRefuse {
		f.setting("PLAIN_HTTP", "must be count or refuse, got %q", s.PlainHTTP)
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
