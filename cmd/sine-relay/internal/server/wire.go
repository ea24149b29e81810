package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/broker/streams"
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
		MaxPayload:     streams.LargestMessage(int(s.BodyLimit)),
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
		NATS:         natsConfig(s),
		Streams:      streamsConfig(s),
		Requests:     askSubjects(s),
		Orders:       s.OrderBucket,
		OrderSites:   append([]string{}, s.Sites()...), // none is not all
		OrdersMaxAge: s.OrdersMaxAge, OverrideMaxDuration: s.OverrideMax,
		Logger:     log,
		Registerer: reg,
	}
	if dir := cmp.Or(s.StateDir, s.SpoolDir, s.NATSStoreDir); dir != "" {
		cfg.OrdersFile = filepath.Join(dir, "orders.json")
	}
	if nats != nil {
		cfg.NATS.InProcess, cfg.Streams.StoreFault, cfg.Streams.StoreLimit = nats.InProcess(), nats.StoreFault, nats.StoreLimit()
		password := func() string { return nats.Password(embedded.UserRelay) }
		cfg.NATS.Auth = dial.Auth{User: embedded.UserRelay, Password: password}
		cfg.NATS.TLS = dial.TLS{} // in process there is none
	}
	return cfg
}

// AdminConfig is for a command that connects to NATS for itself.
func AdminConfig(s config.Settings) admin.Config {
	return admin.Config{NATS: natsConfig(s), Streams: streamsConfig(s), Orders: s.OrderBucket, OverrideMaxDuration: s.OverrideMax}
}

func natsConfig(s config.Settings) dial.Config {
	return dial.Config{
		Servers: s.NATSServers(),
		Auth: dial.Auth{
			CredentialsFile: s.NATSCredentialsFile,
			NKeySeedFile:    s.NATSNKeyFile,
			Token:           s.NATSTokenNow(),
			User:            s.NATSUser,
			Password:        s.NATSPasswordNow(),
		},
		TLS:              dial.TLS{CAFile: s.NATSCAFile, CertFile: s.NATSCertFile, KeyFile: s.NATSKeyFile, HandshakeFirst: s.NATSHandshakeFirst},
		IgnoreDiscovered: s.NATSIgnoreDiscovered,
		InboxPrefix:      s.NATSInboxPrefix,
		Remedy:           remedy,
	}
}

func streamsConfig(s config.Settings) streams.Config {
	return streams.Config{
		Subjects:     visit.Subjects{Prefix: s.SubjectPrefix},
		Events:       streams.Limits{Name: s.EventStream, MaxAge: s.EventMaxAge, MaxBytes: s.EventMaxBytes},
		Decisions:    streams.Limits{Name: s.DecisionStream, MaxAge: s.DecisionMaxAge, MaxBytes: s.DecisionMaxBytes},
		Quarantine:   streams.Limits{Name: s.QuarantineStream, MaxAge: s.QuarantineMaxAge, MaxBytes: s.QuarantineMaxBytes},
		Audit:        streams.Limits{Name: s.DeskStream, MaxAge: s.DeskStreamMaxAge, MaxBytes: s.DeskStreamMaxBytes},
		DedupeWindow: s.DedupeWindow,
		Replicas:     s.NATSReplicas,
		BodyLimit:    int(s.BodyLimit),
		GroupCommit:  s.Batches(),
		Remedy:       remedy,
	}
}

// remedy names the settings that mend an error of NATS, or is empty.
func remedy(err error) string {
	var room *streams.RoomError
	switch {
	case errors.Is(err, dial.ErrServerSilent):
		return "if it has handshake_first, set SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST"
	case errors.Is(err, dial.ErrNoHandshake):
		return "unset SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST, or set handshake_first there"
	case errors.Is(err, embedded.ErrPlaintext):
		return "set SINE_RELAY_NATS_LISTEN_TLS_CERT_FILE and SINE_RELAY_NATS_LISTEN_TLS_KEY_FILE, or accept that with SINE_RELAY_NATS_LISTEN_PLAINTEXT=true"
	case errors.Is(err, embedded.ErrHalfTLS):
		return "set SINE_RELAY_NATS_LISTEN_TLS_CERT_FILE and SINE_RELAY_NATS_LISTEN_TLS_KEY_FILE"
	case errors.Is(err, embedded.ErrNoStore):
		return "set SINE_RELAY_NATS_STORE_DIR"
	case errors.As(err, &room):
		const mib = 1 << 20
		others := " and SINE_RELAY_QUARANTINE_STREAM_MAX_BYTES"
		if room.Audit > 0 {
			others = ", SINE_RELAY_QUARANTINE_STREAM_MAX_BYTES and SINE_RELAY_DESK_STREAM_MAX_BYTES"
		}
		return fmt.Sprintf("the volume of SINE_RELAY_NATS_STORE_DIR is too small for the embedded NATS, which reserves what its streams may take: "+
			"they may take %d MiB, and there was room for %d MiB at the start, three quarters of what was free; give it a larger volume, "+
			"or lower SINE_RELAY_EVENT_STREAM_MAX_BYTES, SINE_RELAY_DECISION_STREAM_MAX_BYTES%[3]s to %[2]d MiB together",
			room.Wanted/mib, room.Limit/mib, others)
	default:
		return ""
	}
}

// withRemedy adds the settings that mend an error, if there are any.
func withRemedy(err error) error {
	if what := remedy(err); what != "" {
		return fmt.Errorf("%w; %s", err, what)
	}
	return err
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
		Connected: s.RequestsConnected && s.EventsConnected, Verified: s.Verified, OrdersPending: !s.OrdersRead,
		Err: s.Fault, Warning: s.Impaired, Details: s.Lines(),
	}
	open, limit := srv.relay.Connections()
	h.Details = append(h.Details, fmt.Sprintf("public listener: %d of %d connections open", open, limit))
	h.Details = append(h.Details, srv.monitor.lines()...)
	h.Details = append(h.Details, srv.relay.DriftLines()...)
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
