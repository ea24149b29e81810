package subscriber

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// EventsConfig says which events to receive. Only Durable is required.
type EventsConfig struct {
	// Durable names the consumer. NATS remembers under it what has been
	// handled; programs that use the same name share the events.
	Durable string
	// Stream is [visit.DefaultEventStream] unless the installation named it
	// otherwise, and Subjects likewise.
	Stream   string
	Subjects visit.Subjects
	// Site and Kind narrow the events to one site, one kind, or both. Whatever
	// they are, the consumer has exactly one filter subject, so that NATS can
	// confine a user to a site: permit it to publish to
	// $JS.API.CONSUMER.CREATE.VISITORS.*.visitors.v1.event.hq.> and no other
	// CONSUMER.CREATE.
	Site string
	Kind visit.Kind
	// StartTime or StartSequence say where a new durable begins; by default
	// with the oldest event that is kept. A durable that exists goes on where
	// it was, whatever they say.
	StartTime     time.Time
	StartSequence uint64
	// Backoff is how long an event whose handling failed stays away, by the
	// number of failures; the last entry is for all further ones.
	Backoff []time.Duration
	// AckWait is how long the server waits before it delivers an event again
	// that a program took and never answered for: how long a crash delays it.
	// A handler may take longer. 30 s by default.
	AckWait time.Duration
	// Concurrency is how many events are handled at once. With the default of
	// 1 they come in the order of the stream, except that one whose handling
	// failed comes again after its backoff, behind others.
	Concurrency int
	// Grace is how long handlers may go on once the context has ended, before
	// their own context ends too. 10 s by default.
	Grace time.Duration
	// OnError hears of what does not end Events: a handler's failure, a
	// message that is no event, a connection that dropped.
	OnError func(error)
}

// ErrConsumerGone is returned when somebody deleted the consumer or the stream
// under a running [Events].
var ErrConsumerGone = errors.New("the consumer was deleted")

// ErrNotAnEvent is reported to OnError for a message that cannot be read as an
// event. It is not delivered again, since that would not make it one; it stays
// in the stream.
var ErrNotAnEvent = errors.New("the message is not an event")

var defaultBackoff = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

func (c EventsConfig) complete() (EventsConfig, error) {
	if !visit.ValidName(c.Durable) {
		return c, fmt.Errorf("durable name %q must match %s", c.Durable, visit.NamePattern)
	}
	if c.Site != "" && !visit.ValidName(c.Site) {
		return c, fmt.Errorf("site %q must match %s", c.Site, visit.NamePattern)
	}
	if c.Kind != "" && !c.Kind.IsFact() {
		return c, fmt.Errorf("kind %q is no event; choose %s or %s", c.Kind, visit.CheckedIn, visit.CheckedOut)
	}
	if !c.StartTime.IsZero() && c.StartSequence > 0 {
		return c, errors.New("StartTime and StartSequence exclude each other")
	}
	if c.Stream == "" {
		c.Stream = visit.DefaultEventStream
	}
	if len(c.Backoff) == 0 {
		c.Backoff = defaultBackoff
	}
	if c.AckWait <= 0 {
		c.AckWait = 30 * time.Second
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 1
	}
	if c.Grace <= 0 {
		c.Grace = 10 * time.Second
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	return c, nil
}

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

// Events calls handle for every event, until ctx ends; then it waits for
// handlers that run and returns nil. An event counts as handled once handle has
// returned nil for it. After an error or a panic it is delivered again, without
// end, after a pause. A process that dies in between gets it again, too.
//
// It rides out lost connections and elections. It returns an error when there is
// nothing to receive from: the configuration is wrong, the stream is missing,
// permission is lacking, or the consumer was deleted ([ErrConsumerGone]).
func Events(ctx context.Context, js jetstream.JetStream, cfg EventsConfig, handle func(context.Context, visit.Event) error) error {
	cfg, err := cfg.complete()
	if err != nil {
		return fmt.Errorf("subscribe to events: %w", err)
	}
	consumer, err := cfg.consumer(ctx, js)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("subscribe to %s: %w", cfg.filter(), err)
	}
	// Few are fetched ahead: what is fetched and not handled is away from
	// other programs of the same durable.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2 * cfg.Concurrency))
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", cfg.filter(), err)
	}
	r := receiver{cfg: cfg, handle: handle}
	return r.run(ctx, messages)
}

// consumer creates the durable, or finds it.
func (c EventsConfig) consumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	want := jetstream.ConsumerConfig{
		Durable:       c.Durable,
		FilterSubject: c.filter(),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.AckWait,
		MaxDeliver:    -1,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	switch {
	case !c.StartTime.IsZero():
		want.DeliverPolicy, want.OptStartTime = jetstream.DeliverByStartTimePolicy, &c.StartTime
	case c.StartSequence > 0:
		want.DeliverPolicy, want.OptStartSeq = jetstream.DeliverByStartSequencePolicy, c.StartSequence
	}
	created, err := js.CreateConsumer(ctx, c.Stream, want)
	if !errors.Is(err, jetstream.ErrConsumerExists) {
		return created, err
	}
	found, err := js.Consumer(ctx, c.Stream, c.Durable)
	if err != nil {
		return nil, err
	}
	if has := found.CachedInfo().Config.FilterSubject; has != want.FilterSubject {
		return nil, fmt.Errorf("the durable %s exists and receives %s: choose another name, or delete it: nats consumer rm %s %s", c.Durable, has, c.Stream, c.Durable)
	}
	return found, nil
}

// receiver hands messages to the handler.
type receiver struct {
	cfg     EventsConfig
	handle  func(context.Context, visit.Event) error
	running sync.WaitGroup
}

func (r *receiver) run(ctx context.Context, messages jetstream.MessagesContext) error {
	working, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	// Draining hands over what was fetched before it ends; it is given back.
	stop := context.AfterFunc(ctx, messages.Drain)
	defer stop()

	slots := make(chan struct{}, r.cfg.Concurrency)
	var ended error
	for ended == nil {
		m, err := messages.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			ended = err
		case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrConsumerNotFound):
			ended = fmt.Errorf("%w: %w", ErrConsumerGone, err)
		case errors.Is(err, jetstream.ErrConnectionClosed):
			ended = err
		case err != nil:
			r.cfg.OnError(fmt.Errorf("receive: %w", err))
		case ctx.Err() != nil:
			r.report("give back", m.Nak())
		default:
			slots <- struct{}{}
			r.running.Go(func() {
				defer func() { <-slots }()
				r.receive(working, m)
			})
		}
	}
	messages.Stop()
	grace := time.AfterFunc(r.cfg.Grace, abort)
	r.running.Wait()
	grace.Stop()
	if ctx.Err() != nil || errors.Is(ended, jetstream.ErrMsgIteratorClosed) {
		return nil
	}
	return fmt.Errorf("receive from %s: %w", r.cfg.filter(), ended)
}

// receive handles one message and answers for it.
func (r *receiver) receive(ctx context.Context, m jetstream.Msg) {
	event, err := parse(m.Data())
	if err != nil {
		r.cfg.OnError(fmt.Errorf("on %s: %w", m.Subject(), err))
		r.report("terminate", m.TermWithReason("not an event"))
		return
	}
	// A handler may take longer than the server waits for it.
	beat := time.NewTicker(r.cfg.AckWait / 3)
	done := make(chan struct{})
	r.running.Go(func() {
		defer beat.Stop()
		for {
			select {
			case <-done:
				return
			case <-beat.C:
				r.report("extend", m.InProgress())
			}
		}
	})
	err = recovered(func() error { return r.handle(ctx, event) })
	close(done)
	if err != nil {
		r.cfg.OnError(fmt.Errorf("handle event %s: %w", event.ID, err))
		r.report("give back", m.NakWithDelay(r.pause(m)))
		return
	}
	r.report("acknowledge", m.Ack())
}

func parse(data []byte) (visit.Event, error) {
	var e visit.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return e, ErrNotAnEvent // the decoder's error may quote the message
	}
	if e.ID == "" || !e.Kind.IsFact() {
		return e, ErrNotAnEvent
	}
	return e, nil
}

// pause is how long a message stays away after its latest failure.
func (r *receiver) pause(m jetstream.Msg) time.Duration {
	failures := 1
	if meta, err := m.Metadata(); err == nil {
		failures = int(meta.NumDelivered)
	}
	return r.cfg.Backoff[min(failures, len(r.cfg.Backoff))-1]
}

func (r *receiver) report(what string, err error) {
	if err != nil {
		r.cfg.OnError(fmt.Errorf("%s a message: %w", what, err))
	}
}
