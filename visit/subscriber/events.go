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

// ErrConsumerGone is returned when somebody deleted the consumer or the stream
// under a running [Events].
var ErrConsumerGone = errors.New("the consumer was deleted")

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
// beside what the event made you do, in one transaction, or use [Once].
//
// Lost connections, server restarts and elections are ridden out. Events returns
// an error when there is nothing to receive from and waiting does not cure it:
// the configuration is wrong, the stream is missing, permission is lacking
// ([ErrDenied]), the name is taken ([ErrDurableTaken]), the consumer was deleted
// ([ErrConsumerGone]) or the connection was closed ([nats.ErrConnectionClosed]).
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
		return fmt.Errorf("%w: %w", ErrConsumerGone, err)
	case r.nc.IsClosed():
		return nats.ErrConnectionClosed
	case !errors.Is(err, jetstream.ErrNoHeartbeat):
		return err
	}
	// A consumer that was deleted while nobody pulled is as silent as a
	// network that fails.
	_, asked := lookAt(ctx, consumer)
	if errors.Is(asked, jetstream.ErrConsumerNotFound) || errors.Is(asked, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: %w", ErrConsumerGone, asked)
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
