package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/internal/natsperm"
	"github.com/sine-relay/sine-relay/visit"
)

// Rehearsal is what came of trying out one subject.
type Rehearsal struct {
	Subject string
	// Fault is nil when a message on the subject would arrive.
	Fault error
}

// nowhere is the name of a stream that there is not: a message that is to be
// stored in it and nowhere else is refused by every other.
const nowhere = "SINE_RELAY_REHEARSAL"

// Rehearse finds out whether the credentials may publish on the subjects of
// events, records and quarantine at a site, and ask there. Nothing is stored and
// no decider hears of it: the streams get a message that they must refuse, and
// the question is for a decider that there is not.
func Rehearse(ctx context.Context, cfg Config, site string) ([]Rehearsal, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	nc, err := cfg.dialAsRelay()
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	var all []Rehearsal
	for _, s := range []string{
		cfg.Subjects.Event(site, visit.KindCheckedIn),
		cfg.Subjects.Decision(site, visit.ResultRejected),
		cfg.Subjects.Quarantine(site),
	} {
		all = append(all, Rehearsal{s, rehearseStoring(ctx, nc, s)})
	}
	question := cfg.Subjects.Ask(site, nowhere)
	return append(all, Rehearsal{question, rehearseAsking(ctx, nc, question)}), nil
}

func rehearseStoring(ctx context.Context, nc *nats.Conn, subject string) error {
	reply, err := request(ctx, nc, &nats.Msg{Subject: subject, Header: nats.Header{jetstream.ExpectedStreamHeader: {nowhere}}})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return visit.ErrStreamMissing
	case err != nil:
		return err
	}
	_, err = readAck(reply.Data, nowhere)
	if errors.Is(err, visit.ErrStreamMissing) {
		return nil // "I am not that stream": it is there, and listens
	}
	return fmt.Errorf("the reply is not the acknowledgement of a stream: %w", err)
}

func rehearseAsking(ctx context.Context, nc *nats.Conn, subject string) error {
	reply, err := request(ctx, nc, &nats.Msg{Subject: subject, Header: nats.Header{visit.HeaderSynthetic: {"true"}}})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil
	case err != nil:
		return err
	}
	if stream, is := acknowledgedBy(reply); is {
		return acknowledgesRequests(stream, subject)
	}
	return nil
}

// dialAsRelay connects for somebody who is answered as the relay is, and fails
// where no answer would arrive.
func (c Config) dialAsRelay(more ...nats.Option) (*nats.Conn, error) {
	nc, err := c.dialOnce(append(more, nats.CustomInboxPrefix(c.InboxPrefix))...)
	if err != nil {
		return nil, err
	}
	inbox, err := nc.SubscribeSync(c.InboxPrefix + "." + newToken())
	if err == nil {
		err = errors.Join(nc.FlushTimeout(apiTimeout), inbox.Unsubscribe())
	}
	if _, refused := natsperm.Last(nc); refused {
		err = fmt.Errorf("%w: use the relay's user, or allow yours to subscribe to %s.>", visit.ErrDenied, c.InboxPrefix)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}
	return nc, nil
}

// request waits for a moment, but no longer than until NATS refuses it: what is
// denied is not answered at all.
func request(ctx context.Context, nc *nats.Conn, m *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	go func() {
		tick := time.NewTicker(refusalPoll)
		defer tick.Stop()
		for refused := false; ctx.Err() == nil && !refused; _, refused = natsperm.LastOf(nc, m.Subject) {
			<-tick.C
		}
		cancel()
	}()
	reply, err := nc.RequestMsgWithContext(ctx, m)
	if err == nil || ctx.Err() == nil {
		return reply, err
	}
	if v, refused := natsperm.LastOf(nc, m.Subject); refused {
		return nil, fmt.Errorf("%w: %w", visit.ErrDenied, v.Err)
	}
	return nil, err
}

// refusalPoll is how soon a refusal is noticed.
const refusalPoll = 20 * time.Millisecond
