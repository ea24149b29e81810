package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// The headers of an atomic batch.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// batchTimeout is how long a batch may take, unless one of its messages has longer.
const batchTimeout = 10 * time.Second

// errAlone is that the batch was refused: each of its messages goes alone, and so
// learns its own result.
var errAlone = errors.New("the batch was refused")

// batch is several messages on their way.
type batch struct {
	group   *group
	members []member
	repeats []member // they go alone, behind it

	mu       sync.Mutex
	sent     []member // those that were still awaited, in the order of the stream
	resolved bool
}

// store sends the batch and gives each member its result. It reports false when it
// took so long that another goroutine leads.
func (b *batch) store() (leads bool) {
	replies := conn.NewReplies()
	if err := b.send(replies); err != nil {
		b.resolve(conn.Reply{Err: err})
		return true
	}
	leads = true
	r, _ := replies.Next(context.Background())
	if r.Err == conn.ErrNoReplyYet {
		leads = false
		b.group.leave()
		r, _ = replies.Next(context.Background())
	}
	b.resolve(r)
	return leads
}

func (b *batch) send(replies *conn.Replies) error {
	defer b.sendRepeats()
	now := time.Now()
	latest := now.Add(batchTimeout)
	for _, m := range b.members {
		if m.deadline.After(latest) {
			latest = m.deadline
		}
	}
	last := b.members[len(b.members)-1]
	one, err := b.group.conn.Expect(conn.Expectation{
		Subject: last.msg.Subject, Accepts: acksOf(last.stream), Replies: replies, Deadline: latest, Remind: now.Add(slowCommit),
	})
	if err == nil {
		one.SendBatch(b.messages)
	}
	return err
}

func (b *batch) sendRepeats() {
	for _, m := range b.repeats {
		m.sendAlone()
	}
}

// messages is called by the connection's writer.
func (b *batch) messages(takes func(*conn.PendingReply) bool) []*nats.Msg {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.resolved {
		return nil
	}
	for _, m := range b.members {
		if takes(m.pending) {
			b.sent = append(b.sent, m)
		}
	}
	return numbered(b.sent)
}

// numbered are the messages with the headers of an atomic batch; a single one is as it
// was. The members' own stay as they are: one may be sent alone meanwhile.
func numbered(members []member) []*nats.Msg {
	all, id := make([]*nats.Msg, len(members)), []string{rand.Text()}
	for i, m := range members {
		one := m.msg
		if all[i] = &one; len(members) > 1 {
			one.Header = make(nats.Header, len(m.msg.Header)+3)
			maps.Copy(one.Header, m.msg.Header)
			one.Header[headerBatchID] = id
			one.Header[headerBatchSequence] = []string{strconv.Itoa(i + 1)}
		}
	}
	if n := len(all); n > 1 {
		all[n-1].Header[headerBatchCommit] = []string{"1"}
	}
	return all
}

// resolve gives each member its result, or has it sent alone.
func (b *batch) resolve(r conn.Reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resolved = true
	alone := conn.Reply{Err: errAlone, Sent: r.Sent && r.Err != nil}
	switch acks, err := b.acks(r); {
	case errors.Is(r.Err, visit.ErrDisconnected):
		alone.Err = r.Err
	case len(b.sent) == 1 && r.Err == nil:
		b.sent[0].pending.Resolve(conn.Reply{Msg: r.Msg, Sent: true})
	case err == nil:
		for i, m := range b.sent {
			m.pending.Resolve(conn.Reply{Value: &acks[i], Sent: true})
		}
	default:
		alone.Sent = alone.Sent || err == streams.ErrNoAck
		b.group.refused(err)
	}
	// Those that have a result, or are not awaited any more, it does not concern.
	for _, m := range b.members {
		m.pending.Resolve(alone)
	}
}

// acks are those of the members that were sent, or why there are none.
func (b *batch) acks(r conn.Reply) ([]streams.Ack, error) {
	switch {
	case r.Err != nil:
		return nil, r.Err
	case conn.IsNoResponders(r.Msg):
		return nil, visit.ErrStreamMissing
	}
	ack, err := streams.ParseAck(r.Msg.Data, b.sent[0].stream)
	if err != nil {
		return nil, err
	}
	n := uint64(len(b.sent))
	if ack.Batch != n || ack.Sequence < n {
		return nil, streams.ErrNoAck
	}
	acks := make([]streams.Ack, n)
	for i := range acks {
		acks[i] = streams.Ack{Stream: ack.Stream, Sequence: ack.Sequence - n + 1 + uint64(i)}
	}
	return acks, nil
}
