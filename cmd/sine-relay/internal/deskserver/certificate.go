package deskserver

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
)

// certificatePoll is between two looks at the files of the certificate: it works with the
// links that Kubernetes swaps.
const certificatePoll = 5 * time.Second

// certificate is the one in force, with what keeps a newer one out. A nil one is that of a
// desk without TLS.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	inForce           atomic.Pointer[tls.Certificate]
	failed            atomic.Pointer[error]
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	return c, c.load()
}

func (c *certificate) load() error {
	loaded, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.inForce.Store(&loaded)
	return nil
}

// follow reads it again from time to time until ctx ends.
func (c *certificate) follow(ctx context.Context) {
	if c == nil {
		return
	}
	tick := time.NewTicker(certificatePoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.reload()
		}
	}
}

func (c *certificate) reload() {
	err := c.load()
	if err == nil {
		c.failed.Store(nil)
		return
	}
	if before := c.failed.Swap(&err); before == nil {
		c.log.Error("the desk's certificate cannot be read again; the one from before is in force", "err", err.Error())
	}
}

// failure is what keeps a newer certificate out, or nil.
func (c *certificate) failure() error {
	if c == nil || c.failed.Load() == nil {
		return nil
	}
	return *c.failed.Load()
}

// config is how TLS is spoken, with the certificate that is in force when somebody
// connects; nil where there is none.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return server.Encryption(&c.inForce)
}
