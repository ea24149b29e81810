package connlimit

import (
	"bytes"
	"net/http"
	"time"

	"github.com/sine-relay/sine-relay/internal/clientip"
)

// Reasons for which a request never comes to the handler. The server answers most
// of them by itself, without a callback.
const (
	// invalidProxyProtocol: the connection begins with a preamble of the PROXY
	// protocol.
	invalidProxyProtocol = "proxy_protocol"
	// invalidTLS: TLS came to a listener without it.
	invalidTLS = "tls_on_plain_listener"
	// invalidPlain: HTTP came to a listener with TLS.
	invalidPlain = "http_on_tls_listener"
	// invalidHandshake: a TLS handshake began and failed.
	invalidHandshake = "tls_handshake"
	// invalidHeaderSize and invalidHeaderLines: the header is too large, or has
	// too many lines.
	invalidHeaderSize  = "header_too_large"
	invalidHeaderLines = "header_lines"
	// invalidHeaderEnd: the header began, and its end did not come.
	invalidHeaderEnd = "header_incomplete"
	// invalidHost: it has no Host, or an invalid one.
	invalidHost = "host"
	// invalidVersion, invalidEncoding and invalidExpectation: the server does not
	// know the version of HTTP, the transfer encoding or what is expected of it.
	invalidVersion     = "http_version"
	invalidEncoding    = "transfer_encoding"
	invalidExpectation = "expectation"
	// invalidShutdown: it came at the moment in which the server closed.
	invalidShutdown = "shutdown"
	// invalidOther: it is not HTTP in another way.
	invalidOther = "malformed"
)

// remedies say what would be right. They are all reasons that there are.
var remedies = map[string]string{
	invalidProxyProtocol: "turn the PROXY protocol off at the proxy, which the relay does not speak, and have the proxy set X-Forwarded-For",
	invalidTLS:           "have the proxy call by http, or set SINE_RELAY_TLS_CERT_FILE and SINE_RELAY_TLS_KEY_FILE for the public listener",
	invalidPlain:         "call by https",
	invalidHandshake:     "compare the TLS versions and the certificate authorities of both sides",
	invalidHeaderSize:    "have the proxy add less to the header, or raise SINE_RELAY_HEADER_LIMIT for the public listener",
	invalidHeaderLines:   "have the proxy add fewer lines to the header",
	invalidHeaderEnd:     "send the whole header, in time",
	invalidHost:          "have the proxy send one Host header with a valid name",
	invalidVersion:       "call by HTTP/1.1",
	invalidEncoding:      "send the body as it is or chunked",
	invalidExpectation:   "expect nothing but 100-continue",
	invalidShutdown:      "have the proxy stop calling once the relay is not ready any more",
	invalidOther:         "what came is not an HTTP request",
}

// statusReasons are the statuses that the server answers for one reason alone.
var statusReasons = map[string]string{
	"431": invalidHeaderSize, "505": invalidVersion, "501": invalidEncoding, "417": invalidExpectation,
}

// reason is why a request was not handed to the handler, given what the server
// answers, if it does.
func (c *conn) reason(answer []byte) string {
	if reason := otherProtocol(c.header.start[:c.header.started]); reason != "" {
		return reason
	}
	_, rest, _ := bytes.Cut(answer, []byte(" "))
	status, text, _ := bytes.Cut(rest[:min(len(rest), 100)], []byte(" "))
	known := statusReasons[string(status)]
	switch {
	case len(answer) == 0 && c.limiter.closing.Load():
		return invalidShutdown
	// The server reads the half of a line at the end as a line, and answers.
	case len(answer) == 0, c.header.truncated && !c.header.complete:
		return invalidHeaderEnd
	case known != "":
		return known
	case c.header.lines > c.header.limit:
		return invalidHeaderLines
	case bytes.Contains(text, []byte("Host header")):
		return invalidHost
	default:
		return invalidOther
	}
}

// otherProtocol recognizes by its first bytes what is not HTTP.
func otherProtocol(first []byte) string {
	switch {
	case bytes.HasPrefix(first, []byte("PROXY")), bytes.HasPrefix(first, []byte("\r\n\r\n\x00")):
		return invalidProxyProtocol
	case bytes.HasPrefix(first, []byte("\x16\x03")):
		return invalidTLS
	default:
		return ""
	}
}

// invalid counts a request that the handler does not see, unless the connection had
// to make room.
func (c *conn) invalid(reason string) {
	l := c.limiter
	if c.seen.Swap(true) || l.hasDropped(c) {
		return
	}
	l.metrics.invalid.WithLabelValues(reason).Inc()
	if n := l.logs.Due("invalid "+reason, time.Now()); n > 0 {
		l.config.Logger.Warn("requests could not be read", "listener", l.config.Listener, "reason", reason,
			"last_from", clientip.Network(c.owner), "count", n, "remedy", remedies[reason])
	}
}

// markSeen notes that the handler sees a request.
func markSeen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if c, _ := req.Context().Value(connKey{}).(*conn); c != nil {
			c.seen.Store(true)
		}
		next.ServeHTTP(w, req)
	})
}
