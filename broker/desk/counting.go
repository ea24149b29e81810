package desk

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// maxCounted is how many messages of a stream are counted, the newest: 6 MB.
	maxCounted = 250_000
	// countInterval is between two looks at what was stored meanwhile, if nobody asks.
	countInterval = 10 * time.Second
	// fillPatience is how long somebody who asks waits for what is not read yet.
	fillPatience = time.Second
	// A server of a cluster may lag behind the one that was asked before. What it lacks
	// is taken for deleted after so many looks.
	looksForDeleted     = 4
	looksForDeletedWait = 150 * time.Millisecond
	// followsAtOnce bounds how often one looks again because something was new.
	followsAtOnce = 5
)

// counter keeps an index of what a stream has on some subjects. It is filled in the
// background, the newest first, and is brought up to date before each use, so that what
// it says is as true as if the stream were read.
type counter struct {
	messages admin.Messages
	// read makes an entry. What cannot be read is an error.
	read func(*jetstream.RawStreamMsg, *index) (entry, error)
	// unreadable gets the errors of read.
	unreadable func(error)
	most       int
	wanted     chan chan error // by those who ask
	ended      chan struct{}

	// The rest belongs to run, but for what mu guards.
	next   uint64 // the first that is not read yet, at the newer end
	low    uint64 // the first that is read
	oldest uint64 // where the stream began

	mu    sync.Mutex
	index index
	// begun is set once the stream was found, full when older ones are left out, and
	// filled when there are none that are not read yet.
	begun, full, filled bool
}

func (d *Desk) newCounter(stream, subjects string, read func(*jetstream.RawStreamMsg, *index) (entry, error)) *counter {
	return &counter{
		messages: d.views.Messages(stream, subjects), read: read, unreadable: func(err error) { d.passOver(stream, err) },
		most: maxCounted, wanted: make(chan chan error), ended: make(chan struct{}),
	}
}

// run reads until ctx ends.
func (c *counter) run(ctx context.Context) {
	defer close(c.ended)
	err := c.refresh(ctx)
	for ctx.Err() == nil {
		var filling, idle <-chan time.Time
		if err == nil && !c.filled {
			filling = closed
		} else {
			idle = time.After(afterwards(err))
		}
		select {
		case reply := <-c.wanted:
			err = c.refresh(ctx)
			reply <- err
		case <-filling:
			err = c.fill(ctx)
		case <-idle:
			err = c.refresh(ctx)
		case <-ctx.Done():
		}
	}
}

var closed = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// afterwards is how long one waits after an error, or nil, if nobody asks.
func afterwards(err error) time.Duration {
	switch {
	case errors.Is(err, visit.ErrDenied):
		return looksAtAuditDenied // the server logs each refusal
	case errors.Is(err, visit.ErrDisconnected):
		return looksAgain
	default:
		return countInterval
	}
}

// refresh reads what was stored since it last did, and begins anew where something of
// what it had is gone.
func (c *counter) refresh(ctx context.Context) error {
	if !c.begun {
		return c.begin(ctx)
	}
	for look := range looksForDeleted {
		if look > 0 {
			pause.For(ctx, looksForDeletedWait)
		}
		same, err := c.followAll(ctx)
		if same || err != nil {
			return err
		}
	}
	return c.begin(ctx)
}

// followAll follows until nothing is new, or for a few times: as many may have been
// deleted as are new.
func (c *counter) followAll(ctx context.Context) (same bool, err error) {
	for range followsAtOnce {
		before := c.next
		if same, err = c.follow(ctx); !same || err != nil || c.next == before {
			break
		}
	}
	return same, err
}

// begin forgets everything, and finds out where the stream begins and ends.
func (c *counter) begin(ctx context.Context) error {
	c.mu.Lock()
	c.index, c.begun, c.full, c.filled = index{}, false, false, false
	c.mu.Unlock()
	last, err := c.messages.Last(ctx)
	if err != nil {
		return err
	}
	first, _, err := c.messages.Next(ctx, 1)
	if err != nil {
		return err
	}
	c.next, c.low, c.oldest = last+1, last+1, last+1
	if first != nil {
		c.oldest = min(first.Sequence, last+1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun, c.filled = true, c.low <= c.oldest
	return nil
}

// fill reads the messages that come before those which it has.
func (c *counter) fill(ctx context.Context) error {
	from := c.oldest
	if c.low > chunkSize {
		from = max(from, c.low-chunkSize)
	}
	older := index{sites: c.index.sites, situations: c.index.situations}
	err := c.messages.Between(ctx, from, c.low, func(m *jetstream.RawStreamMsg) error { c.add(&older, m); return nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.sites, c.index.situations = older.sites, older.situations
	if err != nil {
		return err
	}
	c.low = from
	c.index.before(&older)
	c.full = c.index.count >= c.most && c.low > c.oldest
	c.filled = c.full || c.low <= c.oldest
	return nil
}

// add reads a message. One that is unreadable has an entry nevertheless, since NATS
// counts it.
func (c *counter) add(x *index, m *jetstream.RawStreamMsg) {
	e, err := c.read(m, x)
	if err != nil {
		c.unreadable(err)
		e = entry{marks: markUnreadable}
	}
	x.add(m.Sequence, m.Time, e)
}

// follow reads what is new, and reports whether everything else is as it was: NATS has as
// many messages as were read, and the oldest is the same one.
func (c *counter) follow(ctx context.Context) (same bool, err error) {
	if c.full && c.index.count < c.most { // what was left out has a place now, if it is there still
		return false, nil
	}
	stored, known := uint64(0), false
	if c.filled { // else much of it is to be read yet
		if stored, known, same, err = c.verify(ctx); err != nil || !same {
			return same, err
		}
	}
	before := uint64(c.index.count)
	var fresh index
	fresh.sites, fresh.situations = c.index.sites, c.index.situations
	err = c.messages.Between(ctx, c.next, 0, func(m *jetstream.RawStreamMsg) error {
		c.add(&fresh, m)
		c.next = m.Sequence + 1
		return nil
	})
	c.append(&fresh)
	return !known || before <= stored && stored <= before+uint64(fresh.count), err
}

// verify asks for the oldest message and how many there are, and drops what has expired.
func (c *counter) verify(ctx context.Context) (stored uint64, known, same bool, err error) {
	sequence, _, some := c.index.first()
	m, stored, err := c.messages.Next(ctx, max(sequence, 1))
	switch {
	case err != nil:
		return 0, false, false, err
	case m == nil:
		return 0, true, !some, nil
	case !some:
		return stored, stored > 0, m.Sequence >= c.next, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.drop(m.Sequence)
	sequence, old, some := c.index.first()
	if !some { // they have expired, and a newer one was stored
		return stored, stored > 0, m.Sequence >= c.next, nil
	}
	e, err := c.read(m, &c.index)
	if err != nil {
		e = entry{marks: markUnreadable}
	}
	e.offset = old.offset
	return stored, stored > 0, sequence == m.Sequence && e == old, nil
}

// append adds what is new and drops what is too much.
func (c *counter) append(fresh *index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.sites, c.index.situations = fresh.sites, fresh.situations
	for i := range fresh.chunks {
		one := &fresh.chunks[i]
		for j, e := range one.entries {
			c.index.add(one.sequence(j), one.stored, e)
		}
	}
	for len(c.index.chunks) > 1 && c.index.count-len(c.index.chunks[0].entries) >= c.most {
		c.index.drop(c.index.chunks[1].sequence(0))
		c.full, c.filled = true, true
	}
}
