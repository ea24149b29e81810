// Package relay answers Sine's webhook. It authenticates a call, understands
// it, puts the question or the fact to the broker it was given, and answers.
//
// It promises that every call gets one truthful answer within the budgets it
// was configured with: a check-in request the decision or the integration's
// fallback, a fact a 200 only once it is stored. Nothing personal leaves it but
// to the broker and, in the answer, to Sine.
//
// It knows Sine's JSON and HTTP, and nothing of NATS.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/visit"
)

// Asker puts a question to a decider.
type Asker interface {
	// Ask returns the decision, or an error that wraps visit.ErrNoDecider,
	// visit.ErrTimeout, visit.ErrDisconnected, visit.ErrDenied or
	// visit.ErrBadReply. It returns when ctx ends at the latest.
	Ask(ctx context.Context, question visit.Message) (visit.Decision, error)
}

// Publisher stores messages.
type Publisher interface {
	// Publish returns nil only when the message is stored. It returns when
	// ctx ends at the latest; its error says why it could not be stored.
	Publish(ctx context.Context, m visit.Message) (visit.Receipt, error)
}

// Config is what a [Relay] is made of.
type Config struct {
	Integrations []Integration
	Subjects     visit.Subjects
	Asker        Asker
	Publisher    Publisher
	Limits       Limits
	Logger       *slog.Logger
	Registerer   prometheus.Registerer
}

// Relay answers webhooks. It is an [http.Handler] for the public listener and
// safe for concurrent use.
type Relay struct {
	integrations map[string]*Integration
	subjects     visit.Subjects
	asker        Asker
	publisher    Publisher
	limits       Limits
	gate         *gate
	repeats      *repeats
	metrics      *metrics
	log          *slog.Logger
	handler      http.Handler
	draining     atomic.Bool
}

// New returns a relay for the configured integrations, or everything that is
// wrong with them.
func New(cfg Config) (*Relay, error) {
	limits := cfg.Limits.complete()
	r := &Relay{
		integrations: make(map[string]*Integration, len(cfg.Integrations)),
		subjects:     cfg.Subjects,
		asker:        cfg.Asker,
		publisher:    cfg.Publisher,
		limits:       limits,
		gate:         newGate(limits),
		repeats:      newRepeats(),
		log:          cfg.Logger,
	}
	var faults []error
	var names []string
	for _, i := range cfg.Integrations {
		complete, err := i.complete()
		if err == nil && r.integrations[i.Name] != nil {
			err = fmt.Errorf("integration %q is configured twice", i.Name)
		}
		if err == nil && complete.Budget >= limits.WriteTimeout {
			err = fmt.Errorf("integration %q: its decision budget of %s must be shorter than the write timeout of %s", i.Name, complete.Budget, limits.WriteTimeout)
		}
		faults = append(faults, err)
		r.integrations[i.Name] = &complete
		names = append(names, i.Name)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	r.metrics = newMetrics(cfg.Registerer, names)
	r.handler = r.observe(r.routes())
	return r, nil
}

// ServeHTTP answers one call.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.handler.ServeHTTP(w, req) }

// Drain asks callers to leave: each answer from now on closes its connection, so
// that none is cut off with a call on its way when the listener closes.
func (r *Relay) Drain() { r.draining.Store(true) }

// Server returns a server for the public listener, with the relay's limits.
func (r *Relay) Server() *http.Server {
	return &http.Server{
		Handler:           r,
		MaxHeaderBytes:    r.limits.Header,
		ReadHeaderTimeout: r.limits.ReadTimeout,
		ReadTimeout:       r.limits.ReadTimeout,
		WriteTimeout:      r.limits.WriteTimeout,
		IdleTimeout:       r.limits.IdleTimeout,
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
		// Otherwise "OPTIONS *" is answered 200 by the server itself.
		DisableGeneralOptionsHandler: true,
	}
}
