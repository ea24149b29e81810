package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// reloadPoll is between two looks at the files. They are read and compared:
// that works with every editor, and with the links that Kubernetes swaps.
const reloadPoll = time.Second

// reloader puts a changed configuration into force while the relay runs: the
// integrations, their keys and policies, and the certificate.
type reloader struct {
	app  *app
	load func() (config.Settings, error)

	successful, last prometheus.Gauge
	applied, seen    config.Digest

	mu    sync.Mutex
	fault error
}

func newReloader(a *app, load func() (config.Settings, error), reg prometheus.Registerer) *reloader {
	f := promauto.With(reg)
	r := &reloader{
		app: a, load: load, applied: a.settings.Digest(),
		successful: f.NewGauge(prometheus.GaugeOpts{Name: "sine_relay_config_last_reload_successful", Help: "1 while the files of the configuration are in force, 0 while they have faults and the state before them is."}),
		last:       f.NewGauge(prometheus.GaugeOpts{Name: "sine_relay_config_last_reload_success_timestamp_seconds", Help: "Time at which the configuration came into force."}),
	}
	r.seen = r.applied
	r.succeeded()
	return r
}

func (r *reloader) succeeded() {
	r.successful.Set(1)
	r.last.SetToCurrentTime()
}

// run follows the files until ctx ends. A signal reloads them at once.
func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal) {
	tick := time.NewTicker(reloadPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.seen = r.app.settings.Digest()
			r.reload()
		case <-tick.C:
			r.look()
		}
	}
}

// look reloads what differs from what was last tried, once it has stayed the
// same from one look to the next: somebody may still be writing.
func (r *reloader) look() {
	now := r.app.settings.Digest()
	settled := now == r.seen
	r.seen = now
	if settled && now != r.applied {
		r.reload()
	}
}

// reload puts the files into force, or keeps everything as it is and says why.
func (r *reloader) reload() {
	r.applied = r.seen
	err := r.apply()
	r.mu.Lock()
	r.fault = err
	r.mu.Unlock()
	if err != nil {
		r.successful.Set(0)
		r.app.log.Error("the configuration has faults and is not in force; the relay goes on with the one before", "err", err.Error())
		return
	}
	r.succeeded()
}

func (r *reloader) apply() error {
	settings, err := r.load()
	if err != nil {
		return err
	}
	certificate, err := loadCertificate(settings.TLSCertFile, settings.TLSKeyFile)
	if err != nil {
		return err
	}
	if err := r.app.relay.Reload(settings.Integrations); err != nil {
		return err
	}
	r.app.certificate.Store(certificate)
	r.app.log.Info("configuration in force", "integrations", len(settings.Integrations), "warnings", len(settings.Warnings))
	return nil
}

// state is the fault of the last reload, or nil.
func (r *reloader) state() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == nil {
		return nil
	}
	// In one line, where a list of faults has several.
	faults := strings.Join(strings.Fields(strings.ReplaceAll(r.fault.Error(), "\n", "; ")), " ")
	return fmt.Errorf("the configuration has faults, and the one before is in force: %s", faults)
}

// loadCertificate returns nil where there is none to load.
func loadCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("SINE_RELAY_TLS_CERT_FILE: %w", err)
	}
	return &certificate, nil
}

// certificates is where the listener finds the certificate in force.
type certificates = atomic.Pointer[tls.Certificate]
