// Package streams keeps the streams of the relay as they should be.
//
// It promises that an absent stream is created, that one by which an acknowledged
// message could be lost is a fault, and that it changes nothing that it finds: every
// other difference is reported. It knows from what was last published whether a stream
// stores, since its configuration does not tell.
//
// Publishing is left to others.
package streams

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// Config says what the streams are like. Zero fields get the defaults.
type Config struct {
	Subjects visit.Subjects
	// Events, Decisions and Quarantine are the streams of the roots of the same name.
	Events, Decisions, Quarantine Limits
	// Audit is the desk's stream, which no relay makes or uses.
	Audit Limits
	// DeskHere is set where a desk makes that stream in the server in this process: then
	// it needs room beside the others.
	DeskHere bool
	// DedupeWindow is how long a stream recognises a repeat. Default 24 h.
	DedupeWindow time.Duration
	// Replicas of the streams that are created. Default 1.
	Replicas int
	// BodyLimit is the largest webhook body in bytes. Default 256 KiB. NATS
	// and the streams must take the largest message that follows from it.
	BodyLimit int
	// GroupCommit has messages stored in atomic batches, in streams of NATS 2.15 that
	// allow it. It is for servers that sync each message: elsewhere it costs half of the
	// throughput.
	GroupCommit bool
	// StoreFault says why a message would not last that the server in this process
	// stores in a stream now, or nil. It is called before a message is sent and after
	// its acknowledgement. Nil for a server elsewhere.
	StoreFault func(stream string) error
	// StoreLimit is how many bytes the streams of the server in this process may
	// reserve together, 0 for unknown.
	StoreLimit int64
	// Remedy words what mends a [*RoomError], with the names of the settings. Nil or
	// an empty text adds nothing.
	Remedy func(error) string
}

// Limits is what a stream should be like. MaxAge and MaxBytes bound what is kept; a
// full stream refuses new messages.
type Limits struct {
	Name     string
	MaxAge   time.Duration
	MaxBytes int64
}

const (
	day = 24 * time.Hour
	mib = 1 << 20

	defaultBodyLimit = 256 << 10
)

// WithDefaults returns the configuration with its defaults, or why it can never work.
func (c Config) WithDefaults() (Config, error) {
	c.Events = c.Events.orDefault(Limits{visit.DefaultEventStream, 30 * day, 2048 * mib})
	c.Decisions = c.Decisions.orDefault(Limits{visit.DefaultDecisionStream, 400 * day, 256 * mib})
	c.Quarantine = c.Quarantine.orDefault(Limits{visit.DefaultQuarantineStream, 30 * day, 512 * mib})
	c.Audit = c.Audit.orDefault(Limits{visit.DefaultAuditStream, 400 * day, 256 * mib})
	c.DedupeWindow = cmp.Or(c.DedupeWindow, day)
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.BodyLimit = cmp.Or(c.BodyLimit, defaultBodyLimit)
	if c.StoreFault == nil {
		c.StoreFault = func(string) error { return nil }
	}
	if c.Remedy == nil {
		c.Remedy = func(error) string { return "" }
	}
	var problems []error
	seen := make(map[string]bool)
	for _, s := range c.limits() {
		if seen[s.Name] {
			problems = append(problems, fmt.Errorf("events, decisions, quarantine and the desk's audit require four streams, but two of them are %s", s.Name))
		}
		seen[s.Name] = true
		// JetStream refuses a dedupe window that outlives the messages.
		if s.MaxAge < c.DedupeWindow {
			problems = append(problems, fmt.Errorf("stream %s: its maximum age of %s must not be shorter than the dedupe window of %s", s.Name, s.MaxAge, c.DedupeWindow))
		}
	}
	return c, errors.Join(problems...)
}

func (c Config) limits() []Limits { return []Limits{c.Events, c.Decisions, c.Quarantine, c.Audit} }

func (s Limits) orDefault(d Limits) Limits {
	return Limits{cmp.Or(s.Name, d.Name), cmp.Or(s.MaxAge, d.MaxAge), cmp.Or(s.MaxBytes, d.MaxBytes)}
}

// LargestMessage is the size in bytes of the largest message, headers included, that a
// body of up to bodyLimit bytes becomes. A message holds the body twice: once as it
// came, and once more in the typed fields, where escaping may double what it escapes;
// the rest is for names and headers.
func LargestMessage(bodyLimit int) int64 { return 3*int64(bodyLimit) + 4096 }

// MessageSize is about what a message takes up in a stream.
func MessageSize(m visit.Message) int64 {
	size := len(m.Data) + len(m.Subject) + 32
	for name, values := range m.Header {
		for _, value := range values {
			size += len(name) + len(value) + 4
		}
	}
	return int64(size)
}

// spec is what a stream must and should be like.
type spec struct {
	root     visit.Root
	name     string
	subject  string
	about    string
	maxAge   time.Duration
	maxBytes int64
	dedupe   time.Duration
	replicas int
	largest  int64
	batches  bool
	// room is nil unless the server in this process has a limit for all streams.
	room   *RoomError
	remedy func(error) string
}

// RoomError is that the server in this process has no room for its streams, which
// together may take Wanted bytes of its Limit. Of these, Audit are those of the desk's
// stream, 0 where none is made there.
type RoomError struct{ Limit, Wanted, Audit int64 }

func (r *RoomError) Error() string {
	return fmt.Sprintf("the volume of the embedded NATS is too small: its streams may take %d MiB, and there was room for %d MiB at the start", r.Wanted/mib, r.Limit/mib)
}

func (r *RoomError) small() bool { return r != nil && r.Wanted > r.Limit }

func specs(cfg Config) []spec {
	var room *RoomError
	if cfg.StoreLimit > 0 {
		room = &RoomError{Limit: cfg.StoreLimit, Wanted: cfg.Events.MaxBytes + cfg.Decisions.MaxBytes + cfg.Quarantine.MaxBytes}
		if cfg.DeskHere {
			room.Audit = cfg.Audit.MaxBytes
			room.Wanted += room.Audit
		}
	}
	build := func(root visit.Root, s Limits, about string) spec {
		p := newSpec(cfg, root, s, about)
		p.batches, p.room = cfg.GroupCommit, room
		return p
	}
	return []spec{
		build(visit.RootEvent, cfg.Events, "Visitors checked in and out. Holds personal data."),
		build(visit.RootDecision, cfg.Decisions, "How check-in requests were answered, and why. Holds no personal data but ids that lead to it."),
		build(visit.RootQuarantine, cfg.Quarantine, "What Sine sent and the relay could not understand. Holds personal data."),
	}
}

func newSpec(cfg Config, root visit.Root, s Limits, about string) spec {
	return spec{
		root: root, name: s.Name, subject: cfg.Subjects.All(root), about: about,
		maxAge: s.MaxAge, maxBytes: s.MaxBytes,
		dedupe: cfg.DedupeWindow, replicas: cfg.Replicas, largest: LargestMessage(cfg.BodyLimit), remedy: cfg.Remedy,
	}
}

// AuditStream is how the desk's stream is created, for a complete configuration.
func AuditStream(cfg Config) jetstream.StreamConfig {
	return newSpec(cfg, visit.RootAudit, cfg.Audit, "What was done at the desk, by whom. Holds no personal data of visitors, but ids that lead to it.").config()
}

// config is how an absent stream is created.
func (p spec) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        p.name,
		Description: p.about,
		Subjects:    []string{p.subject},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		// A full stream that discards the old drops visitors in silence.
		Discard:  jetstream.DiscardNew,
		MaxBytes: p.maxBytes,
		MaxAge:   p.maxAge,
		// The server's default of two minutes is shorter than an outage.
		Duplicates: p.dedupe,
		Replicas:   p.replicas,
		// Asynchronous persistence loses acknowledged messages on kill -9.
		PersistMode:          jetstream.DefaultPersistMode,
		MaxMsgs:              -1,
		MaxMsgsPerSubject:    -1,
		MaxMsgSize:           -1,
		MaxConsumers:         -1,
		AllowDirect:          true,
		DiscardNewPerSubject: false,
		// A NATS before 2.12 does not know it, and leaves it out.
		AllowAtomicPublish: p.batches,
	}
}
