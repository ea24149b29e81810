package access

import (
	"context"
	"sync"
	"time"
)

const (
	// maxEnded bounds the sessions that are remembered as ended, which takes some 10 MiB.
	// Each of them took a sign-in, of which there are not so many in a session's lifetime
	// unless somebody makes them.
	maxEnded = 100_000
	// maxKey is how long a session's key may be, from whatever desk it is.
	maxKey = 32
)

// endings are the sessions that were ended before their time. A session is a cookie, and
// a copy of it stays valid as such: what makes it void is that its key is known here.
type endings struct {
	mu    sync.Mutex
	ended map[string]bool
	// queue has them in the order in which they may be forgotten.
	queue []ending
	// running are the requests of each session, and what cancels them.
	running map[string]map[*context.CancelFunc]bool
}

type ending struct {
	key   string
	until time.Time
}

func newEndings() *endings {
	return &endings{ended: map[string]bool{}, running: map[string]map[*context.CancelFunc]bool{}}
}

// end ends a session and the requests of it, and remembers that until no session of now is
// valid any more. Where there are too many, the one that ends next is forgotten.
func (e *endings) end(key string, now, until time.Time) {
	if key == "" || len(key) > maxKey {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended[key] {
		return
	}
	for len(e.queue) > 0 && (len(e.queue) >= maxEnded || !now.Before(e.queue[0].until)) {
		delete(e.ended, e.queue[0].key)
		e.queue = e.queue[1:]
	}
	e.ended[key], e.queue = true, append(e.queue, ending{key, until})
	for cancel := range e.running[key] {
		(*cancel)()
	}
}

func (e *endings) has(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended[key]
}

// begin returns the context of a request of a session, which ends with the session, and
// what is called after the request.
func (e *endings) begin(ctx context.Context, key string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended[key] { // since it was looked up
		cancel()
	}
	if e.running[key] == nil {
		e.running[key] = map[*context.CancelFunc]bool{}
	}
	e.running[key][&cancel] = true
	return ctx, func() {
		cancel()
		e.mu.Lock()
		defer e.mu.Unlock()
		if delete(e.running[key], &cancel); len(e.running[key]) == 0 {
			delete(e.running, key)
		}
	}
}
