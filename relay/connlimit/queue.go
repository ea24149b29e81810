package connlimit

import (
	"container/list"
	"net/netip"
)

// queue keeps connections by their owner, each owner's in the order in which they
// came into it. It is guarded by its limiter's lock.
type queue struct {
	len     int
	turns   uint64                    // given out until now
	byOwner map[netip.Addr]*list.List // of *conn; none is empty
}

// place is where a connection stands in a queue.
type place = *list.Element

func newQueue() queue { return queue{byOwner: map[netip.Addr]*list.List{}} }

func (q *queue) push(c *conn) {
	all := q.byOwner[c.owner]
	if all == nil {
		all = list.New()
		q.byOwner[c.owner] = all
	}
	q.len++
	q.turns++
	c.queue, c.turn, c.place = q, q.turns, all.PushBack(c)
}

// remove does nothing for a connection that is not in the queue.
func (q *queue) remove(c *conn) {
	if c.queue != q {
		return
	}
	all := q.byOwner[c.owner]
	all.Remove(c.place)
	if all.Len() == 0 {
		delete(q.byOwner, c.owner)
	}
	q.len--
	c.queue, c.place = nil, nil
}

// first is the first connection of the owner who has most of them, and of the
// first of several such owners; the queue must not be empty. Owners are at most as
// many as connections, and mostly few.
func (q *queue) first() (first *conn) {
	most := 0
	for _, all := range q.byOwner {
		c := all.Front().Value.(*conn)
		if n := all.Len(); n > most || n == most && c.turn < first.turn {
			first, most = c, n
		}
	}
	return first
}
