package server

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// This file maps the settings to what each part wants.

func embeddedConfig(s config.Settings, log *slog.Logger) embedded.Config {
	return embedded.Config{
		StoreDir:       s.NATSStoreDir,
		Listen:         s.NATSListen,
		TLSCertFile:    s.NATSListenTLSCert,
		TLSKeyFile:     s.NATSListenTLSKey,
		AllowPlaintext: s.NATSListenPlaintext,
		MaxPayload:     broker.LargestMessage(int(s.BodyLimit)),
		Names: embedded.Names{
			SubjectPrefix: s.SubjectPrefix, InboxPrefix: s.NATSInboxPrefix, OrderBucket: s.OrderBucket,
			EventStream: s.EventStream, DecisionStream: s.DecisionStream, QuarantineStream: s.QuarantineStream,
		},
		Logger: log,
	}
}

// BrokerConfig is for a relay's broker, or for a command, which has neither an embedded
// NATS nor a logger nor metrics.
func BrokerConfig(s config.Settings, nats *embedded.Server, log *slog.Logger, reg prometheus.Registerer) broker.Config {
	cfg := broker.Config{
		Servers: s.NATSServers(),
		Auth: broker.Auth{
			CredentialsFile: s.NATSCredentialsFile,
			NKeySeedFile:    s.NATSNKeyFile,
			Token:           s.NATSTokenNow(),
			User:            s.NATSUser,
			Password:        s.NATSPasswordNow(),
		},
		TLS:              broker.TLS{CAFile: s.NATSCAFile, CertFile: s.NATSCertFile, KeyFile: s.NATSKeyFile, HandshakeFirst: s.NATSHandshakeFirst},
		IgnoreDiscovered: s.NATSIgnoreDiscovered,
		InboxPrefix:      s.NATSInboxPrefix,
		Subjects:         visit.Subjects{Prefix: s.SubjectPrefix},
		Questions:        askSubjects(s),
		Events:           broker.StreamConfig{Name: s.EventStream, MaxAge: s.EventMaxAge, MaxBytes: s.EventMaxBytes},
		Decisions:        broker.StreamConfig{Name: s.DecisionStream, MaxAge: s.DecisionMaxAge, MaxBytes: s.DecisionMaxBytes},
		Quarantine:       broker.StreamConfig{Name: s.QuarantineStream, MaxAge: s.QuarantineMaxAge, MaxBytes: s.QuarantineMaxBytes},
		Orders:           s.OrderBucket,
		OrderSites:       append([]string{}, s.Sites()...), // none is not all
		OrdersMaxAge:     s.OrdersMaxAge, OverrideMaxDuration: s.OverrideMax,
		DedupeWindow: s.DedupeWindow,
		Replicas:     s.NATSReplicas,
		BodyLimit:    int(s.BodyLimit),
		Logger:       log,
		Registerer:   reg,
	}
	if dir := cmp.Or(s.StateDir, s.SpoolDir, s.NATSStoreDir); dir != "" {
		cfg.OrdersFile = filepath.Join(dir, "orders.json")
	}
	if nats != nil {
		cfg.InProcess, cfg.StoreFault, cfg.StoreLimit = nats.InProcess(), nats.StoreFault, nats.StoreLimit()
		password := func() string { return nats.Password(embedded.UserRelay) }
		cfg.Auth = broker.Auth{User: embedded.UserRelay, Password: password}
		cfg.TLS = broker.TLS{} // in process there is none
	}
	return cfg
}

// askSubjects are those of every decider that is asked.
func askSubjects(s config.Settings) (all []string) {
	subjects := visit.Subjects{Prefix: s.SubjectPrefix}
	for _, i := range s.Integrations {
		for _, decider := range i.DeciderNames() {
			all = append(all, subjects.Ask(i.Site, decider))
		}
	}
	return all
}

func relayConfig(s config.Settings, integrations []relay.Integration, b *broker.Broker, p relay.Publisher, log *slog.Logger, reg prometheus.Registerer) relay.Config {
	return relay.Config{
		Integrations: integrations,
		Subjects:     visit.Subjects{Prefix: s.SubjectPrefix},
		Asker:        b,
		Publisher:    p,
		Orders:       b,
		StrictOrders: !s.OrdersDeciders,
		Limits:       Limits(s),
		Proxies:      s.Proxies,
		Logger:       log,
		Registerer:   reg,

		RefusePlainHTTP: s.PlainHTTP == config.PlainHTTPRefuse,
	}
}

// Limits are those of the settings.
func Limits(s config.Settings) relay.Limits {
	return relay.Limits{
		Body: s.BodyLimit, Header: int(s.HeaderLimit), JSONDepth: s.JSONDepth,
		Connections: s.MaxConnections,
		ReadTimeout: s.ReadTimeout, WriteTimeout: s.WriteTimeout, IdleTimeout: s.IdleTimeout,
		StoreBudget:     s.StoreBudget,
		CheckInRequests: s.MaxCheckInRequests, Events: s.MaxEvents, WaitingEvents: s.MaxWaitingEvents,
		BodyMemory: s.MaxBodyMemory,
	}
}

// health translates the state of the broker and of the configuration for
// readiness.
func (srv *Server) health() relay.Health {
	s := srv.Broker.Status()
	h := relay.Health{
		Connected: s.DoorConnected && s.EventsConnected, Verified: s.Verified, OrdersPending: !s.OrdersRead,
		Err: s.Fault, Warning: s.Impaired, Details: s.Lines(),
	}
	open, limit := srv.relay.Connections()
	h.Details = append(h.Details, fmt.Sprintf("public listener: %d of %d connections open", open, limit))
	h.Details = append(h.Details, srv.monitor.lines()...)
	if srv.Embedded != nil {
		for _, doubt := range []error{srv.Embedded.Broken(), srv.Embedded.ClockDoubt()} {
			if doubt != nil {
				h.Warning, h.Details = cmp.Or(h.Warning, doubt), append(h.Details, doubt.Error())
			}
		}
	}
	lines, failure := srv.reloader.state()
	h.Details = append(h.Details, lines...)
	h.Warning = cmp.Or(h.Warning, failure)
	for i, line := range h.Details { // for a terminal, too
		h.Details[i] = terminal.PrintableLines(line)
	}
	return h
}
