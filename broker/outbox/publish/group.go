package publish

import (
	"errors"
	"hash/maphash"
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
	// gatherShare is what part of a batch's time the next one waits for the callers of
	// the first, who mostly come again at once. A batch costs the server several syncs,
	// however many messages are in it.
	gatherShare = 2
	// rememberIDs is of how many messages the id is remembered.
	rememberIDs = 8192
)

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
	// gathered gets a token once as many wait as are wanted; then none are any more.
	wanted   int
	gathered chan struct{}
}

// member is a message whose reply is awaited.
type member struct {
	pending  *conn.PendingReply
	msg      nats.Msg
	stream   string
	id       string // by which the stream recognises a repeat
	deadline time.Time
	// holds is set while it holds up others; the one that clears it calls leave.
	holds *atomic.Bool
}

func newGroup(root visit.Root, c *conn.Conn, s *streams.Reconciler) *group {
	recent := recentIDs{seed: maphash.MakeSeed(), all: make(map[uint64]struct{})}
	return &group{root: root, conn: c, streams: s, limit: maxBatch, recent: recent, gathered: make(chan struct{}, 1)}
}

// enter has a message sent: alone, if nothing is being stored, or else with those that
// wait. What the stream may know goes alone: it would be the end of its batch.
func (g *group) enter(m member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.recent.has(m.id), g.limit < minBatch:
		m.sendAlone()
	case g.holding > 0:
		if g.waiting = append(g.waiting, m); len(g.waiting) == g.wanted {
			g.wanted = 0
			g.gathered <- struct{}{}
		}
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
		start := time.Now()
		if !b.store() {
			return
		}
		g.gather(len(b.members), time.Since(start)/gatherShare)
	}
}

// gather waits until the callers of so many messages, which were stored, are there again
// beside those who wait, but for a while at most.
func (g *group) gather(stored int, while time.Duration) {
	if !g.want(stored) {
		return
	}
	over := time.NewTimer(while)
	defer over.Stop()
	select {
	case <-g.gathered:
	case <-over.C:
		g.unwant()
	}
}

// want has a token put once so many more wait, or a batch is full; it reports false where
// one is.
func (g *group) want(more int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) >= g.limit {
		return false
	}
	g.wanted = min(len(g.waiting)+more, g.limit)
	return true
}

func (g *group) unwant() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wanted = 0
	select {
	case <-g.gathered: // at the same time
	default:
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

// recentIDs are the ids of the messages that were sent last.
type recentIDs struct {
	seed maphash.Seed
	all  map[uint64]struct{}
	ring []uint64 // oldest at next
	next int
}

// has reports whether an id is known. Without an id nothing is.
func (r *recentIDs) has(id string) bool {
	_, known := r.all[maphash.String(r.seed, id)]
	return known && id != ""
}

func (r *recentIDs) add(id string) {
	hash := maphash.String(r.seed, id)
	r.all[hash] = struct{}{}
	if len(r.ring) < rememberIDs {
		r.ring = append(r.ring, hash)
		return
	}
	delete(r.all, r.ring[r.next])
	r.ring[r.next] = hash
	r.next = (r.next + 1) % rememberIDs
}

// idOf is the id by which a stream recognises a repeat.
func idOf(m *nats.Msg) string {
	if ids := m.Header[jetstream.MsgIDHeader]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}
