package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// resendAfter is when an acknowledgement is given up for lost. A change
	// of the stream's leader swallows what is published meanwhile.
	resendAfter = 500 * time.Millisecond

	firstPause   = 10 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// Publish stores a message in the stream of its root. It returns nil only on
// the stream's acknowledgement. Until ctx ends it tries again, with the same
// message id, what may pass: no connection, no stream, no leader, no answer. A
// message must carry an id in visit.HeaderMsgID, or a second try may store it
// twice. On an error nothing more is sent (but see the package's one exception);
// the message may be stored all the same if an answer was lost. The errors are
//
//   - visit.ErrStreamMissing: no stream took the subject until ctx ended, or a
//     stream of another name does;
//   - visit.ErrDisconnected: there was no connection when ctx ended;
//   - visit.ErrTimeout: no answer came until ctx ended;
//   - visit.ErrStreamFull, visit.ErrTooLarge, visit.ErrDenied: at once;
//   - the error of ctx when it was cancelled.
//
// Receipt.Duplicate is not set for a repeat of this call's own making.
//
// Messages of one visit are stored one at a time, in the order of the calls.
//
// With a spool, a message that cannot be stored goes there, at once when there
// is no connection, and when the time is nearly up otherwise; and so does one
// behind another of the same order that waits there. Then an error means that
// neither took it.
func (b *Broker) Publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	receipt, err := b.store(ctx, m)
	if err != nil {
		return visit.Receipt{}, fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return receipt, nil
}

// store publishes, or spools where there is a spool.
func (b *Broker) store(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	if b.buffer != nil {
		return b.buffer.store(ctx, m)
	}
	if err := b.allows(m); err != nil {
		return visit.Receipt{}, err
	}
	leave, err := b.lanes.enter(ctx, m)
	if err != nil {
		return visit.Receipt{}, err
	}
	defer leave()
	return b.publish(ctx, m)
}

// publish tries until the message is stored, cannot be, or ctx ends.
func (b *Broker) publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	return b.publishUnless(ctx, m, func(error) bool { return false })
}

// publishUnless gives up before ctx ends when a try has failed and it is hopeless
// to try again.
func (b *Broker) publishUnless(ctx context.Context, m visit.Message, hopeless func(error) bool) (visit.Receipt, error) {
	stream, ok := b.keeper.streamOf(m.Root)
	if !ok {
		return visit.Receipt{}, fmt.Errorf("no stream is configured for the root %q", m.Root)
	}
	header := make(nats.Header, len(m.Header)+1)
	maps.Copy(header, m.Header)
	header[jetstream.ExpectedStreamHeader] = []string{stream}
	p := publication{events: b.events, stream: stream, msg: nats.Msg{Subject: m.Subject, Header: header, Data: m.Data}}
	defer p.leave()
	receipt, err := b.persist(ctx, &p, hopeless)
	if err == nil && m.Root == visit.RootQuarantine {
		b.quarantined.stored(m)
	}
	b.keeper.published(m, b.tells(err), err == nil)
	return receipt, err
}

// tells returns what an error says about the stream, or nil: that there was no
// connection, or too little time, says nothing.
func (b *Broker) tells(err error) error {
	silent := errors.Is(err, visit.ErrTimeout) && b.events.silence() >= resendAfter
	if silent || errors.Is(err, visit.ErrStreamFull) || errors.Is(err, visit.ErrStreamMissing) || errors.Is(err, visit.ErrDenied) {
		return err
	}
	return nil
}

func (b *Broker) persist(ctx context.Context, p *publication, hopeless func(error) bool) (visit.Receipt, error) {
	var last error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if ctx.Err() != nil {
			return visit.Receipt{}, ended(ctx, last)
		}
		up := b.events.connected()
		ack, err := b.lasting(ctx, p)
		if err == nil {
			b.events.heard()
			return p.receipt(ack), nil
		}
		var passing *setback
		switch {
		case err == errUnknown:
			return visit.Receipt{}, ended(ctx, last)
		case !errors.As(err, &passing):
			return visit.Receipt{}, err
		}
		last = passing.cause
		if errors.Is(last, visit.ErrStreamMissing) {
			b.keeper.nudge()
		}
		if hopeless(last) {
			return visit.Receipt{}, last
		}
		if !passing.again {
			rest(ctx, pause, up)
		}
	}
}

// lasting makes one try, and takes an acknowledgement for nothing where the server in
// this process says that what it stores will not last.
func (b *Broker) lasting(ctx context.Context, p *publication) (*jetstream.PubAck, error) {
	if err := b.keeper.storeFault(p.stream); err != nil {
		return nil, &setback{cause: err}
	}
	ack, err := p.try(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.keeper.storeFault(p.stream); err != nil {
		p.uncertain = true
		return nil, &setback{cause: err}
	}
	return ack, nil
}

// ended says why nothing was stored before ctx ended: the last thing that went
// wrong, if anything did.
func ended(ctx context.Context, last error) error {
	if reason := over(ctx); last == nil || !errors.Is(reason, visit.ErrTimeout) {
		return reason
	}
	return last
}

// rest waits for about the pause, but no longer than until the connection is
// back.
func rest(ctx context.Context, pause time.Duration, up <-chan struct{}) {
	timer := time.NewTimer(pause/2 + rand.N(pause)) // spread, or all who wait come back at once
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-up:
	case <-ctx.Done():
	}
}
