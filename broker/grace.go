package broker

import (
	"context"
	"math/rand/v2"
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

// reconnectDelay is the pause before all servers are tried again. Where one name
// stands for several servers, nats.go knows one and would pause before the first try:
// that is at once, unless the connection was made a moment ago and may drop again.
func (l *link) reconnectDelay(round int) time.Duration {
	made := l.connectedAt.Load()
	if round <= 1 && made != nil && time.Since(*made) > reconnectGrace {
		return 0
	}
	return reconnectWait + rand.N(reconnectJitter)
}
