package broker

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// blueprint is what a stream must and should be like.
type blueprint struct {
	root     visit.Root
	name     string
	subject  string
	about    string
	maxAge   time.Duration
	maxBytes int64
	dedupe   time.Duration
	replicas int
	largest  int64
	// room is what the server in this process has for all streams, nil for another.
	room *room
}

// room is how many bytes there are for the streams, and how many they take together.
type room struct{ limit, wanted int64 }

func blueprints(cfg Config) []blueprint {
	var own *room
	if cfg.InProcess != nil {
		own = &room{cfg.StoreLimit, cfg.Events.MaxBytes + cfg.Decisions.MaxBytes + cfg.Quarantine.MaxBytes}
	}
	build := func(root visit.Root, s StreamConfig, about string) blueprint {
		return blueprint{
			root: root, name: s.Name, subject: cfg.Subjects.All(root), about: about,
			maxAge: s.MaxAge, maxBytes: s.MaxBytes,
			dedupe: cfg.DedupeWindow, replicas: cfg.Replicas, largest: LargestMessage(cfg.BodyLimit), room: own,
		}
	}
	return []blueprint{
		build(visit.RootEvent, cfg.Events, "Visitors checked in and out. Holds personal data."),
		build(visit.RootDecision, cfg.Decisions, "How check-in requests were answered, and why. Holds no personal data but ids that lead to it."),
		build(visit.RootQuarantine, cfg.Quarantine, "What Sine sent and the relay could not understand. Holds personal data."),
	}
}

// config is how an absent stream is created.
func (p blueprint) config() jetstream.StreamConfig {
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
	}
}
