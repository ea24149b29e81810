package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// Group commit, for a server that syncs each message: while one message or batch is
// being stored, what comes meanwhile gathers, and is stored in one atomic batch, with
// one sync for all of them. A message that comes alone is stored alone, at once.

const (
	// minBatch is from how many messages on a batch pays: NATS makes a store for each,
	// which takes as long as it takes to store about ten messages alone.
	minBatch = 12
	// maxBatch and maxBatchBytes bound a batch; by default NATS takes 1000 messages.
	maxBatch      = 500
	maxBatchBytes = 8 << 20
	// slowCommit is when the next batch does not wait for the one before any more.
	slowCommit = 100 * time.Millisecond
	// rememberIDs is of how many messages the id is remembered.
	rememberIDs = 8192
)

// The headers of an atomic batch.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// errAlone is that the batch was refused: each of its messages goes alone, and so
// learns its own result.
var errAlone = errors.New("the batch was refused")

// group gathers the messages for one stream.
type group struct {
	root    visit.Root
	conn    *conn.Conn
	streams *streams.Reconciler

	mu sync.Mutex
	// holding is how many hold up those who wait: messages that are being stored
	// alone, or the goroutine that leads.
	holding int
	waiting []member
	limit   int // of messages in a batch
	recent  recentIDs
}

// member is a message whose reply is awaited.
type member struct {
	pending  *conn.PendingReply
	msg      nats.Msg
	stream   string
	id       string // by which the stream recognises a repeat
	deadline time.Time
	// holds is set while it holds up others; whoever clears it calls leave.
	holds *atomic.Bool
}

func newGroup(root visit.Root, c *conn.Conn, s *streams.Reconciler) *group {
	return &group{root: root, conn: c, streams: s, limit: maxBatch, recent: newRecentIDs()}
}

// enter has a message sent: alone, if nothing is being stored, or else with those that
// wait. What the stream may know goes alone: it would be the end of its batch.
func (g *group) enter(m member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.recent.has(m.id):
		m.sendAlone()
	case g.holding > 0:
		g.waiting = append(g.waiting, m)
	default:
		g.recent.add(m.id)
		g.hold(m)
	}
}

func (m member) sendAlone() {
	alone := m.msg
	m.pending.Send(&alone)
}

// hold has a message sent alone that holds up others. The lock is held.
func (g *group) hold(m member) {
	g.holding++
	m.holds.Store(true)
	if !m.pending.RemindAt(time.Now().Add(slowCommit)) && m.holds.Swap(false) {
		g.holding-- // it is not awaited any more
		return
	}
	m.sendAlone()
}

// leave lets those go on that wait.
func (g *group) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holding--; g.holding == 0 && len(g.waiting) > 0 {
		g.holding++
		go g.lead()
	}
}

// lead stores one batch after another, until those that wait are too few for one, or it
// takes so long that another one leads.
func (g *group) lead() {
	for {
		b := g.next()
		if b == nil {
			g.leave()
			return
		}
		if !b.store() {
			return
		}
	}
}

// next is what waits, up to the bounds. Too few are sent alone, and nil is returned. Of
// messages with one id the first is in the batch.
func (g *group) next() *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &batch{group: g}
	n, bytes := 0, 0
	for ; n < len(g.waiting) && len(b.members) < g.limit && bytes < maxBatchBytes; n++ {
		m := g.waiting[n]
		if g.recent.has(m.id) {
			b.repeats = append(b.repeats, m)
			continue
		}
		g.recent.add(m.id)
		b.members = append(b.members, m)
		bytes += len(m.msg.Data)
	}
	rest := copy(g.waiting, g.waiting[n:])
	clear(g.waiting[rest:])
	g.waiting = g.waiting[:rest]
	if len(b.members) >= minBatch {
		return b
	}
	for _, m := range b.members {
		g.hold(m)
	}
	b.sendRepeats()
	return nil
}

// refused draws the conclusions for further batches.
func (g *group) refused(err error) {
	switch {
	case errors.Is(err, streams.ErrNoBatches):
		g.streams.NoBatches(g.root)
	case errors.Is(err, streams.ErrBatchTooLarge):
		g.mu.Lock()
		defer g.mu.Unlock()
		g.limit = max(1, g.limit/2)
	}
}

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
	latest := now.Add(forwardTimeout)
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
	all, id := make([]*nats.Msg, len(b.sent)), rand.Text()
	for i, m := range b.sent {
		one := m.msg
		if all[i] = &one; len(b.sent) > 1 {
			one.Header = make(nats.Header, len(m.msg.Header)+3)
			maps.Copy(one.Header, m.msg.Header)
			one.Header[headerBatchID] = []string{id}
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
	// Those that have a result, or that nobody waits for, it does not concern.
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

// recentIDs are the ids of the messages that were sent last.
type recentIDs struct {
	seed maphash.Seed
	all  map[uint64]struct{}
	ring [rememberIDs]uint64
	next int
}

func newRecentIDs() recentIDs {
	return recentIDs{seed: maphash.MakeSeed(), all: make(map[uint64]struct{}, rememberIDs)}
}

// has reports whether an id is known. Without an id nothing is.
func (r *recentIDs) has(id string) bool {
	_, known := r.all[maphash.String(r.seed, id)]
	return known && id != ""
}

func (r *recentIDs) add(id string) {
	hash := maphash.String(r.seed, id)
	delete(r.all, r.ring[r.next])
	r.ring[r.next] = hash
	r.next = (r.next + 1) % rememberIDs
	r.all[hash] = struct{}{}
}

// idOf is the id by which a stream recognises a repeat.
func idOf(m *nats.Msg) string {
	if ids := m.Header[jetstream.MsgIDHeader]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}
