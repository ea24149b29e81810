package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/relay"
)

const (
	// reloadPoll is between two looks at the files. They are read and compared:
	// that works with every editor, and with the links that Kubernetes swaps.
	reloadPoll = time.Second
	// reloadRetry is between two attempts while there is an error: not all that a
	// reload depends on shows in the files' contents.
	reloadRetry = 5 * time.Second
	// unsettledLooks is how often keys may differ from one look to the next
	// before they count all the same: somebody may be writing, but not for ever.
	unsettledLooks = 5
)

// reloader puts a changed configuration into force while the relay runs: the rules
// of the integrations and the certificate, and apart from them the keys. Neither
// waits until an error of the other is mended.
type reloader struct {
	server *Server
	load   func() (config.Settings, error) // the rules

	successful, last prometheus.Gauge
	applied, seen    config.Digest
	tried            time.Time
	retry            time.Duration // reloadRetry, unless a test is in a hurry

	mu       sync.Mutex
	rules    rules
	keyring  *config.Keyring
	failure  error    // of the configuration as a whole, or nil
	problems []string // of parts of it, while the rest is in force
	// warnings are those of the rules. In logged are the errors and warnings that were
	// logged and are still so.
	warnings []string
	logged   map[string]bool
}

func newReloader(srv *Server, load func() (config.Settings, error), reg prometheus.Registerer) *reloader {
	f := promauto.With(reg)
	r := &reloader{
		server: srv, load: load, retry: reloadRetry, applied: srv.Settings.Digest(),
		rules: rules{}.next(srv.Settings), keyring: srv.Settings.Keyring, logged: map[string]bool{},
		successful: f.NewGauge(prometheus.GaugeOpts{Name: "sine_relay_config_last_reload_successful", Help: "1 while all of the configuration's files are in force, 0 while some have errors and what was before them is."}),
		last:       f.NewGauge(prometheus.GaugeOpts{Name: "sine_relay_config_last_reload_success_timestamp_seconds", Help: "Time at which the configuration came into force."}),
	}
	r.warnings = srv.Settings.Warnings.Lines()
	for _, w := range r.warnings {
		r.logged[w] = true
	}
	r.seen = r.applied
	reg.MustRegister(r)
	return r
}

// integrations are those that the relay begins with.
func (r *reloader) integrations() []relay.Integration { return r.keyring.Issue(r.rules.integrations) }

// run follows the files until ctx ends. A signal reloads them at once.
func (r *reloader) run(ctx context.Context, sighup <-chan os.Signal) {
	go r.followKeys(ctx)
	tick := time.NewTicker(reloadPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sighup:
			r.useKeys(r.server.Settings.ReadKeys(r.keys()))
			r.seen = r.server.Settings.Digest()
			r.reload()
		case <-tick.C:
			r.look()
		}
	}
}

// followKeys has a goroutine of its own: whatever the rest is busy with or waits
// for, a key that was taken away is refused.
func (r *reloader) followKeys(ctx context.Context) {
	tick := time.NewTicker(reloadPoll)
	defer tick.Stop()
	seen, unsettled := r.keys().Digest(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		inForce := r.keys()
		now := r.server.Settings.ReadKeys(inForce)
		switch {
		case now.Digest() == inForce.Digest():
			unsettled = 0
		case now.Digest() == seen, unsettled >= unsettledLooks:
			r.useKeys(now)
			unsettled = 0
		default:
			unsettled++
		}
		seen = now.Digest()
	}
}

func (r *reloader) keys() *config.Keyring {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keyring
}

// useKeys puts keys into force, with the rules that are.
func (r *reloader) useKeys(k *config.Keyring) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// The rules are in force already, so that this cannot fail by them.
	if err := r.server.relay.Reload(k.Issue(r.rules.integrations)); err != nil {
		r.server.Log.Error("the keys are not in force", "err", err.Error())
		return
	}
	r.keyring = k
	if len(k.Unreadable()) == 0 {
		r.server.Log.Info("keys in force")
	}
	r.report()
}

// look reloads what differs from what was last tried, once it has stayed the
// same from one look to the next: somebody may still be writing.
func (r *reloader) look() {
	now := r.server.Settings.Digest()
	settled := now == r.seen
	r.seen = now
	if settled && (now != r.applied || r.failed() && time.Since(r.tried) >= r.retry) {
		r.reload()
	}
}

func (r *reloader) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure != nil
}

// reload puts the rules and the certificate into force, or keeps what is there and
// says why. An error is logged once, however often it is tried.
func (r *reloader) reload() {
	r.applied, r.tried = r.seen, time.Now()
	settings, err := r.load()
	var certificate *tls.Certificate
	if err == nil {
		certificate, err = loadCertificate(settings.TLSCertFile, settings.TLSKeyFile)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		err = r.useRules(settings)
	}
	if err != nil {
		if r.failure == nil || r.failure.Error() != err.Error() {
			r.server.Log.Error("the configuration has errors and is not in force; the relay goes on with the one before", "err", err.Error())
		}
		r.failure = err
		r.successful.Set(0)
		return
	}
	r.failure = nil
	r.server.certificate.Store(certificate)
	r.server.Log.Info("configuration in force", "integrations", len(r.rules.integrations), "with_errors", len(settings.Invalid), "warnings", len(settings.Warnings))
	r.warnings = settings.Warnings.Lines()
	r.report()
}

// useRules needs the lock.
func (r *reloader) useRules(s config.Settings) error {
	next := r.rules.next(s)
	if err := r.swap(r.keyring.Issue(next.integrations)); err != nil {
		return err
	}
	r.server.Broker.Share(len(next.integrations))
	r.rules = next
	return nil
}

// swap puts integrations into force. The orders of a site are followed before the
// first visitor comes there and until after the last.
func (r *reloader) swap(next []relay.Integration) error {
	r.server.Broker.SetSites(slices.Concat(r.server.sites(), sites(next)))
	defer func() { r.server.Broker.SetSites(r.server.sites()) }()
	return r.server.relay.Reload(next)
}

// start reports what is wrong from the beginning.
func (r *reloader) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report()
}

// report says what of the configuration in force is wrong. It needs the lock.
func (r *reloader) report() {
	problems, warnings := r.keyring.Check(r.rules.names(), r.rules.allNamed)
	r.problems = slices.Concat(r.rules.problems, problems.Lines())
	r.logNew(r.problems, slices.Concat(r.warnings, warnings.Lines()))
	if r.failure == nil && len(r.problems) == 0 {
		r.successful.Set(1)
		r.last.SetToCurrentTime()
		return
	}
	r.successful.Set(0)
}

// logNew logs what was not so before.
func (r *reloader) logNew(problems, warnings []string) {
	now := map[string]bool{}
	for i, line := range slices.Concat(problems, warnings) {
		level := slog.LevelError
		if i >= len(problems) {
			level = slog.LevelWarn
		}
		if !r.logged[line] && !now[line] {
			r.server.Log.Log(context.Background(), level, "configuration: "+line)
		}
		now[line] = true
	}
	r.logged = now
}

// shownErrors is how many are named where there is little room.
const shownErrors = 10

// state has a line for each thing that is wrong with the configuration, and says what
// that makes of the whole, or nil.
func (r *reloader) state() (lines []string, impaired error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines = r.problems[:min(len(r.problems), shownErrors)]
	if more := len(r.problems) - len(lines); more > 0 {
		lines = append(lines[:len(lines):len(lines)], fmt.Sprintf("%d more errors: see config check", more))
	}
	switch {
	case r.failure != nil:
		impaired = fmt.Errorf("the configuration has errors, and the one before is in force: %s", oneLine(r.failure))
		lines = append([]string{impaired.Error()}, lines...)
	case len(r.problems) == 1:
		impaired = errors.New("the configuration has an error: " + r.problems[0])
	case len(r.problems) > 1:
		impaired = fmt.Errorf("the configuration has %d errors: %s; …", len(r.problems), r.problems[0])
	}
	return lines, impaired
}

// oneLine writes a list of errors, which has several lines, in one.
func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
}

var (
	integrationBroken = prometheus.NewDesc("sine_relay_integration_invalid",
		"1 while the configuration of an integration has errors: it answers as it did before them, or 401 if it never did.", []string{"integration"}, nil)
	keysReadable = prometheus.NewDesc("sine_relay_api_keys_readable",
		"1 while all files of keys can be read; otherwise keys that were taken away may still be accepted.", nil, nil)
)

// Describe and Collect make it a prometheus.Collector, so that an integration that
// is gone is no longer shown.
func (r *reloader) Describe(c chan<- *prometheus.Desc) {
	c <- integrationBroken
	c <- keysReadable
}

func (r *reloader) Collect(c chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.rules.names() {
		value := 0.0
		if r.rules.broken[name] != "" {
			value = 1
		}
		c <- prometheus.MustNewConstMetric(integrationBroken, prometheus.GaugeValue, value, name)
	}
	readable := 1.0
	if len(r.keyring.Unreadable()) > 0 {
		readable = 0
	}
	c <- prometheus.MustNewConstMetric(keysReadable, prometheus.GaugeValue, readable)
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

// sites are those of integrations, as distinct has them.
func sites(integrations []relay.Integration) (all []string) {
	for _, i := range integrations {
		all = append(all, i.Site)
	}
	return distinct(all)
}

// distinct are the sites that are known, each once; none is not nil. That of a broken entry
// which was never in force is empty: NATS would refuse to follow the orders of no site, and
// with it those of all others.
func distinct(sites []string) []string {
	all := slices.DeleteFunc(append([]string{}, sites...), func(site string) bool { return site == "" })
	slices.Sort(all)
	return slices.Compact(all)
}
