package subscriber

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	maxConcurrency = 128
	// maxWaiting is for the pulls of 32 programs with as many workers. A pull
	// too many is met by silence; the server's own limit is four.
	maxWaiting = 32 * maxConcurrency
	// unlimited is NATS' word for no end and no limit.
	unlimited = -1
)

// EventsConfig says which events to receive. Only Durable is required.
type EventsConfig struct {
	// Durable names the consumer. NATS remembers under it what has been
	// handled; programs that use the same name share the events. It stays
	// until somebody deletes it.
	Durable string
	// Existing takes the durable as somebody else made it, and makes none: for a
	// NATS user who may not. Its filter must be that of Site and Kind.
	Existing bool
	// Stream is [visit.DefaultEventStream] unless the installation named it
	// otherwise, and Subjects likewise.
	Stream   string
	Subjects visit.Subjects
	// Site and Kind narrow the events to one site, one kind, or both. Whatever
	// they are, the consumer has exactly one filter subject, so that NATS can
	// confine a team to a site; see [Events].
	Site string
	Kind visit.Kind
	// StartTime or StartSequence say where a new durable begins; by default
	// with the oldest event that is kept. A durable that exists goes on where
	// it was, whatever they say.
	StartTime     time.Time
	StartSequence uint64
	// Backoff is how long an event whose handling failed stays away, by the
	// number of its deliveries; the last entry is for all further ones. By
	// default 1 s, 5 s, 30 s, 2 min, 10 min. It is longer where failures are so
	// slow that their retries, which NATS delivers first, would leave no time
	// for events that are new: a quarter of the time is theirs.
	Backoff []time.Duration
	// MaxAckPending limits how many events may be delivered and not yet
	// acknowledged, for all programs with this durable; those whose handling
	// failed and that wait for their retry are among them. At the limit nothing
	// newer comes, for one site's fault to every other. By default there is
	// none, and each such event costs the NATS server some memory.
	MaxAckPending int
	// StallAfter is how long events may wait and none of them come before
	// OnError hears of it in a [*StallError]: after that time, at most twice of
	// it, and as often again. 1 min by default.
	StallAfter time.Duration
	// MaxDeliver ends the deliveries of an event whose handling always fails.
	// By default they have no end: giving up loses a visitor.
	MaxDeliver int
	// AckWait is how long the server waits before it delivers an event again
	// that a program took and never answered for: how long a crash delays it.
	// A handler may take longer. 30 s by default.
	AckWait time.Duration
	// Concurrency is how many events are handled at once, 1 to 128. With the
	// default of 1 they come in the order of the stream, except that one whose
	// handling failed comes again after its backoff, behind others. More of
	// them, or a second program with the same durable, give up the order: a
	// check-out may be handled before its check-in.
	Concurrency int
	// GracePeriod is how long handlers may go on once the context has ended,
	// before their own context ends too. 20 s by default.
	GracePeriod time.Duration
	// OnError hears of what does not end Events: an [*EventError] for each
	// event that was not handled, a [*StallError] while events wait and do not
	// come, what somebody set on the durable that delays or loses events, and
	// trouble with the connection. It is
	// called by several goroutines at once. By default the error is logged by
	// slog's default logger.
	OnError func(error)
}

var defaultBackoff = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// complete checks the configuration and fills its defaults in.
func (c EventsConfig) complete() (EventsConfig, error) {
	if err := c.check(); err != nil {
		return c, err
	}
	if c.Stream == "" {
		c.Stream = visit.DefaultEventStream
	}
	if len(c.Backoff) == 0 {
		c.Backoff = defaultBackoff
	}
	if c.MaxDeliver == 0 {
		c.MaxDeliver = unlimited
	}
	if c.MaxAckPending == 0 {
		c.MaxAckPending = unlimited // and not the server's thousand
	}
	if c.StallAfter == 0 {
		c.StallAfter = time.Minute
	}
	if c.AckWait == 0 {
		c.AckWait = 30 * time.Second
	}
	if c.Concurrency == 0 {
		c.Concurrency = 1
	}
	if c.GracePeriod == 0 {
		c.GracePeriod = defaultGrace
	}
	if c.OnError == nil {
		c.OnError = logError
	}
	return c, nil
}

func (c EventsConfig) check() error {
	if !visit.ValidName(c.Durable) {
		return fmt.Errorf("durable name %q must match %s", c.Durable, visit.NamePattern)
	}
	if c.Site != "" && !visit.ValidName(c.Site) {
		return fmt.Errorf("site %q must match %s", c.Site, visit.NamePattern)
	}
	if c.Kind != "" && !c.Kind.IsEvent() {
		return fmt.Errorf("kind %q is not an event; choose %s or %s", c.Kind, visit.KindCheckedIn, visit.KindCheckedOut)
	}
	if !c.StartTime.IsZero() && c.StartSequence > 0 {
		return errors.New("StartTime and StartSequence exclude each other")
	}
	if c.Concurrency < 0 || c.Concurrency > maxConcurrency {
		return fmt.Errorf("concurrency %d is not within 1 and %d", c.Concurrency, maxConcurrency)
	}
	numbers := []time.Duration{c.AckWait, c.GracePeriod, c.StallAfter, time.Duration(c.MaxDeliver), time.Duration(c.MaxAckPending)}
	for _, d := range append(numbers, c.Backoff...) {
		if d < 0 {
			return errors.New("AckWait, GracePeriod, StallAfter, MaxDeliver, MaxAckPending and Backoff must not be negative")
		}
	}
	return nil
}

// filter is the one subject that the consumer receives.
func (c EventsConfig) filter() string {
	switch {
	case c.Site != "" && c.Kind != "":
		return c.Subjects.Event(c.Site, c.Kind)
	case c.Site != "":
		return c.Subjects.Events(c.Site)
	case c.Kind != "":
		return c.Subjects.Event("*", c.Kind)
	default:
		return c.Subjects.All(visit.RootEvent)
	}
}

// consumer is the durable as NATS has it. What is not set has no limit, unless the
// stream limits its consumers; see oddities.
func (c EventsConfig) consumer() jetstream.ConsumerConfig {
	want := jetstream.ConsumerConfig{
		Durable: c.Durable,
		// One FilterSubject, not FilterSubjects: only then does the create
		// request carry it in its subject, where a permission can see it.
		FilterSubject: c.filter(),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.AckWait,
		MaxDeliver:    c.MaxDeliver,
		MaxAckPending: c.MaxAckPending,
		MaxWaiting:    maxWaiting,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
	}
	switch {
	case !c.StartTime.IsZero():
		start := c.StartTime.UTC()
		want.DeliverPolicy, want.OptStartTime = jetstream.DeliverByStartTimePolicy, &start
	case c.StartSequence > 0:
		want.DeliverPolicy, want.OptStartSeq = jetstream.DeliverByStartSequencePolicy, c.StartSequence
	}
	return want
}
