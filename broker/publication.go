package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// publication is one message on its way into its stream.
type publication struct {
	events *link
	link   *link // by which it was sent last
	stream string
	msg    nats.Msg

	one *waiter // kept over tries that bring no answer, so that a slow one still counts
	// uncertain is set once something was sent and no answer seen: then a
	// duplicate may be of our own making.
	uncertain bool
}

// setback is an error after which another try may succeed.
type setback struct {
	cause error
	again bool // without a pause
}

func (s *setback) Error() string { return fmt.Sprintf("set back: %v", s.cause) }

// errUnknown is that ctx ended before anything came of a try.
var errUnknown = errors.New("no acknowledgement before the deadline")

// try sends the message once and waits for an answer to this or an earlier try.
func (p *publication) try(ctx context.Context) (*jetstream.PubAck, error) {
	if err := p.send(ctx); err != nil {
		return nil, err
	}
	timer := time.NewTimer(resendAfter)
	defer timer.Stop()
	select {
	case s := <-p.one.settled:
		p.one = nil
		return p.judge(s)
	case <-timer.C:
		p.uncertain = true
		return nil, &setback{cause: visit.ErrTimeout, again: true}
	case <-ctx.Done():
		return p.lastGlance()
	}
}

func (p *publication) send(ctx context.Context) error {
	if p.one == nil {
		p.link = p.events.current()
		one, err := p.link.waiting.add(p.msg.Subject, answersFor(p.stream), make(chan settlement, 1), p.link.hears)
		if err != nil {
			return err
		}
		p.one = one
	}
	switch err := p.link.post(ctx, &p.msg, p.one); {
	case err == visit.ErrDisconnected:
		return &setback{cause: err}
	case err != nil && err == over(ctx):
		return errUnknown
	default:
		return err
	}
}

// answersFor accepts a stream's replies, and NATS' own. It outlives the message.
func answersFor(stream string) func(*nats.Msg) bool {
	return func(reply *nats.Msg) bool {
		if isNoResponders(reply) {
			return true
		}
		_, err := readAck(reply.Data, stream)
		return err != errNoAck
	}
}

// judge tells what a settlement means for the message.
func (p *publication) judge(s settlement) (*jetstream.PubAck, error) {
	switch {
	case s.err == visit.ErrDisconnected:
		p.uncertain = true
		return nil, &setback{cause: s.err}
	case s.err != nil:
		return nil, s.err
	case isNoResponders(s.reply):
		return nil, &setback{cause: fmt.Errorf("%w: expected %s", visit.ErrStreamMissing, p.stream)}
	}
	return readAck(s.reply.Data, p.stream)
}

// lastGlance takes an answer that came together with the end of the time.
func (p *publication) lastGlance() (*jetstream.PubAck, error) {
	if p.link.waiting.remove(p.one) {
		p.one = nil
		return nil, errUnknown
	}
	s := <-p.one.settled
	p.one = nil
	return p.judge(s)
}

// leave forgets whatever answers are still to come.
func (p *publication) leave() {
	if p.one != nil {
		p.link.waiting.remove(p.one)
	}
}

func (p *publication) receipt(ack *jetstream.PubAck) visit.Receipt {
	return visit.Receipt{Stream: ack.Stream, Sequence: ack.Sequence, Duplicate: ack.Duplicate && !p.uncertain}
}
