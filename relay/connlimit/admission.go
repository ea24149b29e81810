package connlimit

import (
	"container/list"
	"net/netip"
	"time"
)

// admit makes room for one more and counts it in, or reports that there is none.
func (l *Limiter) admit(c *conn) bool {
	l.mu.Lock()
	var victim *conn
	var reason string
	if l.open >= l.config.Max {
		if victim, reason = l.victim(); victim != nil {
			l.remove(victim)
			victim.dropped = true
		}
	}
	admitted := l.open < l.config.Max
	if admitted {
		l.open++
		l.unprotected.push(c)
	}
	l.mu.Unlock()
	if reason != "" {
		l.drop(reason)
	}
	if victim != nil {
		// The socket itself: over TLS a closing alert would be written first,
		// while somebody else waits to be let in.
		victim.raw.Close()
	}
	return admitted
}

// victim is the connection that is closed when one more comes, and why. It belongs to the address
// that has most of its sort, and is the one of it that came first or is idle for
// longest: whoever floods the listener closes its own connections, and where a
// proxy stands for all, the oldest, which had the longest time to show a key.
//
// A quarter is for those that have shown no key yet. Without it, idle connections
// with a key could leave so little that newcomers close one another before they
// show theirs.
func (l *Limiter) victim() (*conn, string) {
	switch {
	case l.idle.len > 0 && l.unprotected.len < l.config.Max/4:
		return l.idle.first(), reasonIdle
	case l.unprotected.len > 0:
		c := l.unprotected.first()
		if c.authenticated {
			return c, reasonShare
		}
		return c, reasonUnauthenticated
	default:
		return nil, reasonFull
	}
}

// authenticate protects a connection while it is being answered, if its user has a share
// left.
func (l *Limiter) authenticate(c *conn, user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.gone || c.share != nil && c.user == user {
		return
	}
	l.unprotect(c) // a proxy's connection may be used for several
	c.authenticated, c.user = true, user
	l.protect(c)
}

// protect is for a connection whose user is known. It needs the lock.
func (l *Limiter) protect(c *conn) {
	share, ok := l.protected.TryAcquire(c.user, 1)
	switch {
	case ok:
		c.share = &share
		l.unprotected.remove(c)
	case c.queue == nil:
		l.unprotected.push(c)
	}
}

// idling notes that no request is on its way.
func (l *Limiter) idling(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.authenticated || c.gone {
		return
	}
	l.unprotect(c)
	l.unprotected.remove(c)
	if c.queue == nil {
		l.idle.push(c)
		c.isIdle.Store(true)
	}
}

// active notes that a request has begun to come. Until it shows a key it counts for
// who used the connection last: half a header has a share, too.
func (l *Limiter) active(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.queue == &l.idle {
		l.idle.remove(c)
		c.isIdle.Store(false)
		l.protect(c)
	}
}

// unprotect ends a connection's protection. It needs the lock.
func (l *Limiter) unprotect(c *conn) {
	if c.share != nil {
		c.share.Release()
		c.share = nil
	}
}

// forget counts a connection out.
func (l *Limiter) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(c)
}

// remove needs the lock. A connection is counted out once.
func (l *Limiter) remove(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	c.cancel()
	l.open--
	l.unprotect(c)
	l.unprotected.remove(c)
	l.idle.remove(c)
}

// logInterval is the time between two log lines of one kind.
const logInterval = time.Minute

// drop counts one that had to be closed, and logs from time to time.
func (l *Limiter) drop(reason string) {
	l.metrics.dropped.WithLabelValues(reason).Inc()
	if n := l.logs.Due("dropped "+reason, time.Now()); n > 0 {
		l.config.Logger.Warn("connections were closed: no more may be open", "listener", l.config.Listener, "max", l.config.Max, "reason", reason, "count", n)
	}
}

// queue keeps connections by their owner, each owner's in the order in which they
// came into it. It is guarded by its limiter's lock.
type queue struct {
	len     int
	lastSeq uint64                    // of those that were ever in it
	byOwner map[netip.Addr]*list.List // of *conn; none is empty
}

func newQueue() queue { return queue{byOwner: map[netip.Addr]*list.List{}} }

func (q *queue) push(c *conn) {
	all := q.byOwner[c.owner]
	if all == nil {
		all = list.New()
		q.byOwner[c.owner] = all
	}
	q.len++
	q.lastSeq++
	c.queue, c.seq, c.element = q, q.lastSeq, all.PushBack(c)
}

// remove does nothing for a connection that is not in the queue.
func (q *queue) remove(c *conn) {
	if c.queue != q {
		return
	}
	all := q.byOwner[c.owner]
	all.Remove(c.element)
	if all.Len() == 0 {
		delete(q.byOwner, c.owner)
	}
	q.len--
	c.queue, c.element = nil, nil
}

// first is the first connection of the owner who has most of them, and of the
// first of several such owners; the queue must not be empty. Owners are at most as
// many as connections, and mostly few.
func (q *queue) first() (first *conn) {
	most := 0
	for _, all := range q.byOwner {
		c := all.Front().Value.(*conn)
		if n := all.Len(); n > most || n == most && c.seq < first.seq {
			first, most = c, n
		}
	}
	return first
}
