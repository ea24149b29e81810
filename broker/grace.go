package broker

import (
	"context"
	"time"
)

// reconnectGrace is for how long after a connection dropped a question waits for it
// to be back, and "no responders" is not believed: deciders connect anew, too. In a
// cluster both take milliseconds.
const reconnectGrace = time.Second

// down notes that the connection dropped.
func (l *link) down() {
	if l.live.Swap(false) {
		now := time.Now()
		l.dropped.Store(&now)
	}
}

// settling is for how much longer everybody may be connecting anew after the
// connection dropped, or not positive.
func (l *link) settling() time.Duration {
	if dropped := l.dropped.Load(); dropped != nil {
		return reconnectGrace - time.Since(*dropped)
	}
	return 0
}

// dropPoll is how soon it is noticed that a connection which refused a message did
// drop.
const dropPoll = 5 * time.Millisecond

// regained waits until it is worth another try to send, and reports false when the
// connection is not back soon.
func (l *link) regained(ctx context.Context) bool {
	up := l.connected()
	if l.closed.Load() {
		return false
	}
	patience, live := l.settling(), l.stands()
	if live {
		patience = dropPoll
	}
	if patience <= 0 {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-up:
		return true
	case <-timer.C:
		return live || l.stands()
	case <-ctx.Done():
		return false
	}
}
