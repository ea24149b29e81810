package subscriber

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// ErrConsumerDeleted is returned when the consumer or the stream was deleted while
// [Events] was running.
var ErrConsumerDeleted = errors.New("the consumer was deleted")

const (
	// heartbeat is the interval of the server's idle heartbeats for a pull; after
	// twice that time without one, the pull is repeated.
	heartbeat   = 5 * time.Second
	infoTimeout = 2 * time.Second
)

// Events calls handle for every event, until ctx ends; then it waits for running
// handlers and returns nil. An event is acknowledged once handle has returned nil for
// it. After an error or a panic it is redelivered after a delay, without limit; see
// [EventsConfig].Backoff.
//
// Every event is delivered at least once, and sometimes twice: after a crash, or when
// an acknowledgement was lost. Its ID is then the same, so store the ID together with
// the effect of the event, in one transaction, or use [Dedupe]. A correction has an ID of
// its own; see [EventsConfig].Corrections.
//
// Events survives lost connections, server restarts and leader elections. It returns an
// error when it cannot receive and waiting does not help: the configuration is invalid,
// the stream is missing, a permission is missing ([ErrDenied]), the durable has another
// configuration ([ErrDurableMismatch]), the consumer was deleted
// ([ErrConsumerDeleted]) or the connection was closed ([nats.ErrConnectionClosed]).
//
// To confine the durable "badges" of a team to the site hq, permit its NATS user
// to publish to these subjects, and to subscribe to its inbox:
//
//	$JS.API.CONSUMER.CREATE.VISITORS.badges.visitors.v1.event.hq.>
//	$JS.API.CONSUMER.INFO.VISITORS.badges
//	$JS.API.CONSUMER.MSG.NEXT.VISITORS.badges
//	$JS.ACK.VISITORS.badges.>
//
// With * instead of the name in the first of them the team may choose names, and may
// take another team's. The first also lets the team have these events delivered to any
// subject of the stream's account, as a push consumer does. Where that matters, an
// administrator creates the durable, the team does without the first permission, and
// [EventsConfig].BindOnly is set.
func Events(ctx context.Context, js jetstream.JetStream, cfg EventsConfig, handle func(ctx context.Context, e visit.Event) error) error {
	cfg, err := cfg.complete()
	if err != nil {
		return fmt.Errorf("subscribe to events: %w", err)
	}
	r := &receiver{cfg: cfg, nc: js.Conn(), handle: handle}
	before := r.nc.LastError()
	fetching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go watchPermission(fetching, r.nc, before, func(s string) bool { return cfg.needs(r.nc, s) }, stop)

	consumer, err := cfg.attach(fetching, js)
	if err == nil {
		r.cfg = cfg.as(consumer.CachedInfo().Config)
		err = r.run(fetching, stop, consumer)
	} else if fetching.Err() != nil {
		err = context.Cause(fetching)
	}
	if ctx.Err() != nil && !errors.Is(err, ErrStillRunning) {
		return nil
	}
	return fmt.Errorf("receive %s from %s: %w", cfg.filter(), cfg.Stream, err)
}

// receiver delivers messages to the handler.
type receiver struct {
	cfg    EventsConfig
	nc     *nats.Conn
	handle func(context.Context, visit.Event) error
	// working is the handlers' context.
	working context.Context
	retries retryThrottle
}

// run returns why it ended, once every worker has or the grace period is over.
func (r *receiver) run(fetching context.Context, stop context.CancelCauseFunc, consumer jetstream.Consumer) error {
	var abort context.CancelFunc
	r.working, abort = context.WithCancel(context.WithoutCancel(fetching))
	defer abort()
	var workers sync.WaitGroup
	for range r.cfg.Concurrency {
		workers.Go(func() {
			if err := r.work(fetching, consumer); err != nil {
				stop(err)
			}
		})
	}
	go r.watchStall(fetching, consumer)
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()

	<-fetching.Done()
	overdue := finished(done, r.cfg.GracePeriod, abort)
	r.flush()
	if overdue != nil {
		return errors.Join(overdue, context.Cause(fetching))
	}
	return context.Cause(fetching)
}

// work fetches one message at a time and handles it. Messages that waited in a buffer
// for their handler would be redelivered elsewhere after AckWait.
func (r *receiver) work(ctx context.Context, consumer jetstream.Consumer) error {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	defer r.release(messages)
	for ctx.Err() == nil {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err == nil {
			r.receive(m)
			continue
		}
		if err := r.permanent(ctx, consumer, err); err != nil {
			return err
		}
	}
	return nil
}

// permanent returns nil for an error of fetching that is retried.
func (r *receiver) permanent(ctx context.Context, consumer jetstream.Consumer, err error) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, jetstream.ErrConsumerDeleted):
		return fmt.Errorf("%w: %w", ErrConsumerDeleted, err)
	case r.nc.IsClosed():
		return nats.ErrConnectionClosed
	case !errors.Is(err, jetstream.ErrNoHeartbeat):
		return err
	}
	// A consumer that was deleted while nobody pulled is as silent as a
	// network that fails.
	_, missing := consumerInfo(ctx, consumer)
	if errors.Is(missing, jetstream.ErrConsumerNotFound) || errors.Is(missing, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: %w", ErrConsumerDeleted, missing)
	}
	r.cfg.OnError(fmt.Errorf("pull from %s, continuing: %w", r.cfg.Stream, err))
	return nil
}

// release ends the pull and returns messages that arrived meanwhile, so that others
// need not wait for AckWait. What it misses is redelivered after that.
func (r *receiver) release(messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(lastWait))
		if err != nil {
			return
		}
		r.report("return", m.Nak())
	}
}

// flush sends the last acknowledgements: the caller may close the connection at once.
func (r *receiver) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	if err := r.nc.FlushWithContext(ctx); err != nil && !r.nc.IsClosed() {
		r.cfg.OnError(fmt.Errorf("flush acknowledgements: %w", err))
	}
}

const (
	maxConcurrency = 128
	// maxWaiting is for the pulls of 32 programs with as many workers. The server does
	// not reply to a pull beyond it; its own limit is four.
	maxWaiting = 32 * maxConcurrency
	// unlimited is NATS' value for no limit.
	unlimited = -1
)

// EventsConfig says which events to receive. Only Durable is required.
type EventsConfig struct {
	// Durable is the name of the durable consumer. NATS stores its position;
	// programs with the same name share the events. It exists until somebody deletes
	// it.
	Durable string
	// BindOnly binds to a durable that somebody else created, and never creates or
	// changes one: for a NATS user without permission to. Its filter must be that of
	// Site and Kind.
	BindOnly bool
	// Stream is the event stream, [visit.DefaultEventStream] by default, and Subjects
	// has the subject prefix of the installation.
	Stream   string
	Subjects visit.Subjects
	// Site and Kind narrow the events to one site, one kind, or both. Whatever
	// they are, the consumer has exactly one filter subject, so that NATS can
	// confine a team to a site; see [Events].
	Site string
	Kind visit.Kind
	// Corrections delivers corrections, too: events that say again, with other fields,
	// what an earlier event said ([visit.Event.IsCorrection]). A program that keeps what
	// it receives wants them, and replaces an event by what [visit.Event.Supersedes] it.
	// By default they are acknowledged and not delivered: they are no further visitors,
	// and a barrier must not open for one.
	Corrections bool
	// StartTime or StartSequence say where a new durable begins; by default with the
	// oldest event in the stream. They have no effect on a durable that exists, which
	// continues where it was.
	StartTime     time.Time
	StartSequence uint64
	// Backoff are the delays before the redelivery of an event whose handler failed,
	// by the number of deliveries; the last one is for all further deliveries. By
	// default 1 s, 5 s, 30 s, 2 min, 10 min. Delays are longer when failures are so
	// slow that their redeliveries, which NATS sends first, would leave no time for
	// new events: a quarter of the time is reserved for these.
	Backoff []time.Duration
	// MaxAckPending is the maximum number of events that are delivered and not yet
	// acknowledged, for all programs with this durable, including those that wait for
	// redelivery. At the limit nothing newer is delivered: the failures of one site
	// block all others. By default there is no limit, and each such event costs the
	// NATS server some memory.
	MaxAckPending int
	// StallAfter is the time for which events may be pending without any delivery
	// before OnError gets a [*StallError]: after that time, at most twice that, and
	// again at that interval. 1 min by default.
	StallAfter time.Duration
	// MaxDeliver is the maximum number of deliveries of an event. By default there is
	// no limit: giving up loses an event.
	MaxDeliver int
	// AckWait is the time after which the server redelivers an event without an
	// acknowledgement: the delay after a crash. A handler may take longer. 30 s by
	// default.
	AckWait time.Duration
	// Concurrency is the maximum number of events in flight, 1 to 128. With the
	// default of 1 events are delivered in the order of the stream, except that one
	// whose handler failed is redelivered behind others. With more, or a second
	// program with the same durable, there is no order: a check-out may be handled
	// before its check-in.
	Concurrency int
	// GracePeriod is the time for running handlers once the context has ended, before
	// their own context ends too. 20 s by default.
	GracePeriod time.Duration
	// OnError gets errors that do not end Events: an [*EventError] for each delivery
	// that failed, a [*StallError] while pending events are not delivered, settings
	// of the durable that delay or lose events, and errors of the connection. It is
	// called concurrently. By default errors are logged by slog's default logger.
	OnError func(error)
}

var defaultBackoff = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// complete checks the configuration and sets the defaults.
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
		return fmt.Errorf("field Durable must match %s, got %q", visit.NamePattern, c.Durable)
	}
	if c.Site != "" && !visit.ValidName(c.Site) {
		return fmt.Errorf("field Site must match %s, got %q", visit.NamePattern, c.Site)
	}
	if c.Kind != "" && !c.Kind.IsEvent() {
		return fmt.Errorf("field Kind must be %s or %s, got %q", visit.KindCheckedIn, visit.KindCheckedOut, c.Kind)
	}
	if !c.StartTime.IsZero() && c.StartSequence > 0 {
		return errors.New("StartTime and StartSequence must not be set together")
	}
	if c.Concurrency < 0 || c.Concurrency > maxConcurrency {
		return fmt.Errorf("field Concurrency must be between 1 and %d, got %d", maxConcurrency, c.Concurrency)
	}
	numbers := []time.Duration{c.AckWait, c.GracePeriod, c.StallAfter, time.Duration(c.MaxDeliver), time.Duration(c.MaxAckPending)}
	for _, d := range append(numbers, c.Backoff...) {
		if d < 0 {
			return errors.New("AckWait, GracePeriod, StallAfter, MaxDeliver, MaxAckPending and Backoff must not be negative")
		}
	}
	return nil
}

// filter is the filter subject of the consumer.
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

// consumer is the configuration of the durable. What is not set has no limit, unless
// the stream limits its consumers; see warnings.
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
