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

// ErrConsumerDeleted is returned when somebody deleted the consumer or the stream
// under a running [Events].
var ErrConsumerDeleted = errors.New("the consumer was deleted")

const (
	// heartbeat is how often the server says that it still knows of a pull;
	// when it is silent for twice as long, the pull is made again.
	heartbeat = 5 * time.Second
	askWait   = 2 * time.Second
)

// Events calls handle for every event, until ctx ends; then it waits for
// handlers that run and returns nil. An event counts as handled once handle has
// returned nil for it. After an error or a panic it is delivered again, without
// end, after a pause; see [EventsConfig].Backoff.
//
// Every event comes at least once, and now and then twice: after a crash, or
// when an acknowledgement was lost. Its ID is then the same, so keep the ID
// beside what the event made you do, in one transaction, or use [Dedupe].
//
// Lost connections, server restarts and elections are ridden out. Events returns
// an error when there is nothing to receive from and waiting does not cure it:
// the configuration is wrong, the stream is missing, permission is lacking
// ([ErrDenied]), the name is taken ([ErrDurableMismatch]), the consumer was deleted
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
// With * instead of the name in the first of them the team may choose names, and
// may take another team's. The first lets the team have the events that it may
// receive delivered to any subject of the stream's account, too, as a push consumer
// does. Where that matters, an administrator makes the durable, the team does
// without the first, and [EventsConfig].Existing is set.
func Events(ctx context.Context, js jetstream.JetStream, cfg EventsConfig, handle func(ctx context.Context, e visit.Event) error) error {
	cfg, err := cfg.complete()
	if err != nil {
		return fmt.Errorf("subscribe to events: %w", err)
	}
	r := &receiver{cfg: cfg, nc: js.Conn(), handle: handle}
	before := r.nc.LastError()
	fetching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go watchDenials(fetching, r.nc, before, func(s string) bool { return cfg.needs(r.nc, s) }, stop)

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

// receiver hands messages to the handler.
type receiver struct {
	cfg    EventsConfig
	nc     *nats.Conn
	handle func(context.Context, visit.Event) error
	// working is the handlers' context.
	working context.Context
	retries spacing
}

// run returns why it ended, when every worker has, or the grace period is over.
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

// work fetches one message at a time and handles it. Messages that waited in a
// buffer for their handler would come again elsewhere when AckWait is over.
func (r *receiver) work(ctx context.Context, consumer jetstream.Consumer) error {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	defer r.giveBack(messages)
	for ctx.Err() == nil {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err == nil {
			r.receive(m)
			continue
		}
		if err := r.lasting(ctx, consumer, err); err != nil {
			return err
		}
	}
	return nil
}

// lasting returns nil for a fault of fetching that passes.
func (r *receiver) lasting(ctx context.Context, consumer jetstream.Consumer, err error) error {
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
	_, asked := lookAt(ctx, consumer)
	if errors.Is(asked, jetstream.ErrConsumerNotFound) || errors.Is(asked, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: %w", ErrConsumerDeleted, asked)
	}
	r.cfg.OnError(fmt.Errorf("pull from %s, will go on: %w", r.cfg.Stream, err))
	return nil
}

// giveBack ends the pull and returns what came all the same, so that others
// need not wait until AckWait is over. What it misses comes again after that.
func (r *receiver) giveBack(messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(lastWait))
		if err != nil {
			return
		}
		r.report("give back", m.Nak())
	}
}

// flush sends the last acknowledgements on their way: the caller may close the
// connection at once.
func (r *receiver) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	if err := r.nc.FlushWithContext(ctx); err != nil && !r.nc.IsClosed() {
		r.cfg.OnError(fmt.Errorf("flush acknowledgements: %w", err))
	}
}

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
	// BindOnly takes the durable as somebody else made it, and makes none: for a
	// NATS user who may not. Its filter must be that of Site and Kind.
	BindOnly bool
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
