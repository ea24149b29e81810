package orders

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// WatchConfig says what to follow. JetStream and Bucket are mandatory.
type WatchConfig struct {
	// JetStream is on a connection that the caller makes, keeps and closes. It
	// need not be connected yet.
	JetStream jetstream.JetStream
	Bucket    string
	// Replicas are the bucket's if the watcher comes first and may create it.
	// Default 1.
	Replicas int
	// KeptFile keeps the last known state for the next start; empty for none.
	// Its directory is made. No other relay uses the same file.
	KeptFile string
	Logger   *slog.Logger
}

// Watcher follows the orders in a bucket. It is safe for concurrent use.
type Watcher struct {
	cfg     WatchConfig
	log     *slog.Logger
	stop    context.CancelFunc
	stopped sync.WaitGroup
	changed chan struct{} // tells the goroutine that keeps the file

	// Used by the goroutine that follows, alone.
	herald    herald
	createdAt time.Time // when creating the bucket was last tried
	createErr error

	mu      sync.Mutex
	entries ledger // replaced, never changed
	orders  []visit.Order
	source  Source
	asOf    time.Time
	err     error
	keptErr error
}

// Watch begins to follow the bucket until [Watcher.Close]: through lost
// connections, elections, and a bucket that is absent, or deleted and made again.
// A kept state is there when it returns; nothing else is waited for.
func Watch(cfg WatchConfig) *Watcher {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Watcher{
		cfg: cfg, log: log, stop: stop, changed: make(chan struct{}, 1),
		herald: herald{log: log}, source: SourceNone,
	}
	kept := w.restore()
	w.stopped.Go(func() { w.keep(kept) })
	w.stopped.Go(func() { w.run(ctx) })
	return w
}

// Close stops following, and returns when the last state is kept. What is known
// stays known.
func (w *Watcher) Close() {
	w.stop()
	w.stopped.Wait()
}

// Orders returns the last known orders, by kind and site, without waiting.
// Expired ones are among them: ask [visit.Order.InForce]. They are shared and
// must not be changed. known is false until the bucket was read or a kept state
// loaded.
//
// NATS' own word that there is no bucket is knowledge: nobody ever gave an order
// in it. No answer and a refusal are none, and what was known before stays.
func (w *Watcher) Orders() (all []visit.Order, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.orders, w.source != SourceNone
}

const (
	retryPause = 250 * time.Millisecond
	// deniedPause is longer, since the server logs every denial.
	deniedPause = 2 * time.Second
)

func (w *Watcher) run(ctx context.Context) {
	defer close(w.changed)
	for {
		err := heed(ctx, w.cfg.JetStream.Conn(), toFollow(w.cfg.Bucket), w.follow)
		pause := retryPause
		if errors.Is(err, visit.ErrDenied) {
			pause = deniedPause
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = w.absent(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.report(err)
			w.herald.tell(w.entries, w.source, time.Now()) // of what expires meanwhile
			rest(ctx, pause)
		}
	}
}
