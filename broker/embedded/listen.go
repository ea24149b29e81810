package embedded

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// listener is where other clients connect.
type listener struct {
	host string
	port int
	tls  *tls.Config // nil: plaintext
}

var (
	// ErrPlaintext comes from an address beyond this machine without TLS, unless that
	// is allowed.
	ErrPlaintext = errors.New("beyond this machine the messages would be readable on the network")
	// ErrHalfTLS comes from a certificate without its key, or a key without its
	// certificate.
	ErrHalfTLS = errors.New("the certificate and the key of the listener must be set together")
	// ErrNoStore comes from a configuration without a directory.
	ErrNoStore = errors.New("no directory is configured")
)

func newListener(cfg Config) (listener, error) {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return listener{}, fmt.Errorf("listen on %q: %w", cfg.Listen, err)
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return listener{}, fmt.Errorf("listen on %q: %w", cfg.Listen, err)
	}
	l := listener{host: host, port: number}
	if l.tls, err = loadTLS(cfg.TLSCertFile, cfg.TLSKeyFile); err != nil {
		return listener{}, err
	}
	if l.tls == nil && !cfg.AllowPlaintext && !loopback(host) {
		return listener{}, fmt.Errorf("listen on %s: %w", cfg.Listen, ErrPlaintext)
	}
	if err := probe(l); err != nil {
		return listener{}, err
	}
	return l.forServer(), nil
}

// forServer puts the server's own words in: it takes port 0 for its default
// port and an empty host for IPv4.
func (l listener) forServer() listener {
	if l.port == 0 {
		l.port = server.RANDOM_PORT
	}
	if l.host == "" {
		l.host = "::"
	}
	return l
}

func loadTLS(certFile, keyFile string) (*tls.Config, error) {
	if certFile == "" && keyFile == "" {
		return nil, nil
	}
	if certFile == "" || keyFile == "" {
		return nil, ErrHalfTLS
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("load %s and %s: %w", certFile, keyFile, err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		// A renewed certificate needs no restart; one that cannot be read
		// does not shut anybody out.
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now, err := tls.LoadX509KeyPair(certFile, keyFile)
			if err != nil {
				now = certificate
			}
			return &tls.Config{Certificates: []tls.Certificate{now}, MinVersion: tls.VersionTLS12}, nil
		},
		MinVersion: tls.VersionTLS12,
	}, nil
}

// loopback is certain of what it says: any other name than localhost might
// resolve to another machine's address tomorrow.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// probe listens for a moment: nats-server only logs why it cannot, and a caller
// could not tell a port in use from anything else.
func probe(l listener) error {
	socket, err := net.Listen("tcp", net.JoinHostPort(l.host, strconv.Itoa(l.port)))
	if err != nil {
		return err // says "listen tcp" and the address
	}
	return socket.Close()
}

// reachable is a host that a client on this machine can connect to.
func (l listener) reachable() string {
	if ip := net.ParseIP(l.host); ip == nil || !ip.IsUnspecified() {
		return l.host
	}
	if l.tls != nil {
		return certified(l.tls.Certificates[0].Leaf)
	}
	return "127.0.0.1"
}

// certified is a name that a client will accept the certificate for.
func certified(leaf *x509.Certificate) string {
	for _, name := range leaf.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	if len(leaf.IPAddresses) > 0 {
		return leaf.IPAddresses[0].String()
	}
	return "127.0.0.1"
}
