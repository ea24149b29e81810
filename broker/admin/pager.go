package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

// pullWait is how long NATS may take to open a stream for reading, and then for
// each message that there is.
const pullWait = 5 * time.Second

// scan calls fn for each message of a stream from a time on, oldest first, until fn
// returns an error, which it returns. What is deleted meanwhile is left out.
func scan(ctx context.Context, nc dial.Link, stream string, since time.Time, fn func(*jetstream.RawStreamMsg) error) error {
	return (&pager{nc: nc, stream: stream, next: batch{StartTime: &since, Subject: ">"}}).each(ctx, fn)
}

// each is scan from where the next page begins.
func (p *pager) each(ctx context.Context, fn func(*jetstream.RawStreamMsg) error) error {
	for more := true; more; {
		var page []*jetstream.RawStreamMsg
		var err error
		page, more, err = p.read(ctx)
		for _, m := range page {
			if err := fn(m); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pager reads a stream in its order, a page at a time.
//
// It gets the messages directly, by no consumer: a user who may make one may have
// messages delivered to any subject of the stream's account, as a push consumer
// does, and so under the key of a standing order.
type pager struct {
	nc     dial.Link
	stream string
	next   batch // where the next page begins
	// before is the sequence number before which all that is wanted has come; 0 for none.
	before uint64
}

// read returns the next page, and whether there is more behind it by now. Beside an
// error there is what came before it; the page after that begins behind it.
func (p *pager) read(ctx context.Context) (page []*jetstream.RawStreamMsg, more bool, err error) {
	p.next.Batch, p.next.MaxBytes = batchMessages, batchBytes
	if p.before > p.next.Sequence {
		p.next.Batch = int(min(p.before-p.next.Sequence, batchMessages))
	}
	err = p.get(ctx, p.next, func(m *jetstream.RawStreamMsg) { page = append(page, m) }, func(end *nats.Msg) {
		more = len(page) > 0 && end.Header.Get(headerPending) != "0"
	})
	if len(page) > 0 {
		p.next = batch{Sequence: page[len(page)-1].Sequence + 1, Subject: p.next.Subject}
		more = more && (p.before == 0 || p.next.Sequence < p.before)
	}
	return page, more, err
}

// nextPage is what a pager read.
type nextPage struct {
	messages []*jetstream.RawStreamMsg
	more     bool
	err      error
}

// readAhead reads the next page while the one before it is used.
func (p *pager) readAhead(ctx context.Context) <-chan nextPage {
	coming := make(chan nextPage, 1)
	go func() {
		messages, more, err := p.read(ctx)
		coming <- nextPage{messages, more, err}
	}()
	return coming
}

// get calls fn for each message of a batch, and end for what ends it. Each batch has
// an inbox of its own: what comes late belongs to no other one.
func (p *pager) get(ctx context.Context, b batch, fn func(*jetstream.RawStreamMsg), end func(*nats.Msg)) error {
	err := p.nc.WhilePermitted(ctx, func(ctx context.Context) error { return p.receive(ctx, b, fn, end) }, p.subject())
	if err != nil {
		return p.failed(err)
	}
	return nil
}

func (p *pager) receive(ctx context.Context, b batch, fn func(*jetstream.RawStreamMsg), end func(*nats.Msg)) error {
	inbox := dial.NewInbox(p.nc.Conn)
	replies, err := p.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer replies.Unsubscribe()
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if err := p.nc.PublishRequest(p.subject(), inbox, data); err != nil {
		return err
	}
	for {
		m, err := nextWithin(ctx, replies)
		if err != nil {
			return err
		}
		one, err := directly(m)
		if err != nil {
			return err
		}
		if one == nil { // the end of the batch, or of the stream
			end(m)
			return nil
		}
		fn(one)
		// A NATS before 2.11 knows no batches: it replies with one message and no end, and
		// goes by no time.
		if m.Header.Get(headerPending) == "" {
			end(m)
			return nil
		}
	}
}

func (p *pager) subject() string { return "$JS.API.DIRECT.GET." + p.stream }

// last is the newest message on subjects, or nil.
func (p *pager) last(ctx context.Context, subjects string) (*jetstream.RawStreamMsg, error) {
	return p.one(ctx, map[string]string{"last_by_subj": subjects})
}

// one returns the message that is asked for, or nil where it is not there.
func (p *pager) one(ctx context.Context, question any) (*jetstream.RawStreamMsg, error) {
	data, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	var reply *nats.Msg
	err = p.nc.WhilePermitted(ctx, func(ctx context.Context) (err error) {
		reply, err = p.nc.RequestWithContext(ctx, p.subject(), data)
		return err
	}, p.subject())
	if err != nil {
		return nil, p.failed(err)
	}
	m, err := directly(reply)
	if err != nil {
		return nil, p.failed(err)
	}
	return m, nil
}

// failed says what keeps the stream from being read.
func (p *pager) failed(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		err = fmt.Errorf("%w, or it does not allow direct access: nats stream edit %s --allow-direct", visit.ErrStreamMissing, p.stream)
	case !p.nc.IsConnected(): // what the library says then is about its buffer
		err = visit.ErrDisconnected
	}
	return fmt.Errorf("read stream %s: %w", p.stream, p.nc.Explain(err))
}

const (
	headerPending = "Nats-Num-Pending" // in each reply to a batch
	batchMessages = 1000
	batchBytes    = 1 << 20 // or one message
)

// batch asks for several messages in a row, of one subject or of all.
type batch struct {
	Sequence  uint64     `json:"seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	Subject   string     `json:"next_by_subj,omitempty"`
	Batch     int        `json:"batch"`
	MaxBytes  int        `json:"max_bytes"`
}

// pendingOf is how many messages there are from one on that a batch began with, itself
// included, or 0 where NATS does not say it.
func pendingOf(h nats.Header) uint64 {
	behind, err := strconv.ParseUint(h.Get(headerPending), 10, 64)
	if err != nil {
		return 0
	}
	return behind + 1
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
		return nil, fmt.Errorf("NATS replied %s %s", status, m.Header.Get("Description"))
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
