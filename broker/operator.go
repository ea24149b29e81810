package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// pullWait is how long NATS may take to open a stream for reading, and then for
// each message that there is. A refusal is silence.
const pullWait = 5 * time.Second

// operatorInbox is what every NATS client has by default. It is not the relay's:
// an operator cannot hear what the relay is told.
const operatorInbox = "_INBOX"

// dialOnce connects for somebody at a terminal, who wants to know at once when
// there is nobody to connect to, where the relay would wait.
func (c Config) dialOnce(more ...nats.Option) (*nats.Conn, error) {
	options, err := c.options()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	nc, err := nats.Connect(c.urls(), append(slices.Concat(options, more),
		nats.RetryOnFailedConnect(false), nats.MaxReconnects(5),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // by default it prints
	)...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", c.hosts(), c.TLS.explained(err))
	}
	return nc, nil
}

// scan calls fn for each message of a stream from a time on, oldest first, until fn
// returns an error, which it returns. What is deleted meanwhile is left out.
//
// It gets the messages directly, by no consumer: whoever may make one may have
// messages delivered to any subject of the stream's account, as a push consumer
// does, and so under the key of a standing order.
func scan(ctx context.Context, nc *nats.Conn, stream string, since time.Time, fn func(*jetstream.RawStreamMsg) error) error {
	fail := func(err error) error { return fmt.Errorf("read stream %s: %w", stream, explain(nc, err)) }
	inbox := cmp.Or(nc.Opts.InboxPrefix, operatorInbox) + "." + newToken()
	replies, err := nc.SubscribeSync(inbox)
	if err != nil {
		return fail(err)
	}
	defer replies.Unsubscribe()
	next := batch{StartTime: &since}
	for more := true; more; {
		next.Batch, next.MaxBytes = batchMessages, batchBytes
		data, err := json.Marshal(next)
		if err != nil {
			return fail(err)
		}
		if err := nc.PublishRequest(apiPrefix+"DIRECT.GET."+stream, inbox, data); err != nil {
			return fail(err)
		}
		var got uint64
		for {
			m, err := nextWithin(ctx, replies)
			if errors.Is(err, nats.ErrNoResponders) {
				err = fmt.Errorf("%w, or it does not allow direct access: nats stream edit %s --allow-direct", visit.ErrStreamMissing, stream)
			}
			if err != nil {
				return fail(err)
			}
			one, err := directly(m)
			if err != nil {
				return fail(err)
			}
			if one == nil { // the end of the batch, or of the stream
				more = got > 0 && m.Header.Get("Nats-Num-Pending") != "0"
				break
			}
			got = one.Sequence
			if err := fn(one); err != nil {
				return err
			}
		}
		next = batch{Sequence: got + 1}
	}
	return nil
}

const (
	batchMessages = 256
	batchBytes    = 4 << 20 // within what a client buffers
)

// batch asks for several messages in a row.
type batch struct {
	Sequence  uint64     `json:"seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	Batch     int        `json:"batch"`
	MaxBytes  int        `json:"max_bytes"`
}

func nextWithin(ctx context.Context, replies *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	return replies.NextMsgWithContext(ctx)
}

// directly reads a message that was got, or returns nil at the end of them.
func directly(m *nats.Msg) (*jetstream.RawStreamMsg, error) {
	switch status := m.Header.Get("Status"); status {
	case "":
	case "204", "404": // end of the batch, no message
		return nil, nil
	default:
		return nil, fmt.Errorf("NATS answers %s %s", status, m.Header.Get("Description"))
	}
	sequence, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("a message without its sequence number: %w", err)
	}
	stored, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return nil, fmt.Errorf("a message without its time: %w", err)
	}
	return &jetstream.RawStreamMsg{
		Subject: m.Header.Get(jetstream.SubjectHeader), Sequence: sequence, Header: m.Header, Data: m.Data, Time: stored,
	}, nil
}

// refused is what NATS did not permit last, or nil.
func refused(nc *nats.Conn) error {
	if err := nc.LastError(); err != nil && errors.Is(err, nats.ErrPermissionViolation) {
		return err
	}
	return nil
}

// explain names what NATS refused: the client itself only says that the time was
// up.
func explain(nc *nats.Conn, err error) error {
	if refused := refused(nc); refused != nil {
		return fmt.Errorf("%w: %w", visit.ErrDenied, refused)
	}
	return err
}
