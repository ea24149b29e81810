package orders

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/orders/ledger"
	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

// WatchConfig says what to follow. JetStream and Bucket are mandatory.
type WatchConfig struct {
	// JetStream is on a connection that the caller makes, keeps and closes. It
	// need not be connected yet.
	JetStream jetstream.JetStream
	Bucket    string
	// Sites are those whose orders are followed, beside those of all sites. Nil
	// follows every site.
	Sites []string
	// MaxAge is for how long what was read counts as known. Default 30 s.
	MaxAge time.Duration
	// MaxOverride is the longest that an override may last; one that lasts
	// longer is invalid. Default 24 h.
	MaxOverride time.Duration
	// Replicas are the bucket's if the watcher comes first and may create it.
	// Default 1.
	Replicas int
	// Unused reports whether nothing was ever stored beside the bucket. Where
	// something was, an absent bucket was deleted and is not created. Nil is for
	// nobody who could tell.
	Unused func(context.Context) (bool, error)
	// Inspected is called after each reading with what is wrong with the bucket, and how
	// else it differs from one that is created here. It may be nil.
	Inspected func(unfit error, drift []Drift)
	// SnapshotFile keeps the last known state for the next start; empty for none.
	// Its directory is made. No other relay uses the same file.
	SnapshotFile string
	Logger       *slog.Logger
}

const (
	defaultMaxAge      = 30 * time.Second
	defaultMaxOverride = 24 * time.Hour
)

// Watcher follows the orders in a bucket. It is safe for concurrent use.
type Watcher struct {
	cfg     WatchConfig
	log     *slog.Logger
	stop    context.CancelFunc
	stopped sync.WaitGroup
	changed chan struct{} // tells the goroutine that keeps the file

	// Used by the goroutine that follows, alone.
	changes   ledger.ChangeLogger
	createdAt time.Time // when creating the bucket was last tried
	createErr error

	mu      sync.Mutex
	sites   []string      // nil for all
	entries ledger.Ledger // replaced, never changed
	orders  []visit.Order
	source  Source
	asOf    time.Time // by the wall clock
	heard   time.Time // with the monotonic clock; zero for too long ago
	look    look
	purged  bool
	unread  bool // the bucket was not read for all of the sites
	// lastKeys were read last; none is all.
	lastKeys    []string
	err         error
	snapshotErr error
	// rereadNow ends the wait for new entries.
	rereadNow context.CancelFunc
}

// Watch begins to follow the bucket until [Watcher.Close]: through lost
// connections, elections, and a bucket that is absent, or deleted and made again.
// A kept state is there when it returns; nothing else is waited for.
func Watch(cfg WatchConfig) *Watcher {
	cfg.MaxAge = cmp.Or(cfg.MaxAge, defaultMaxAge)
	cfg.MaxOverride = cmp.Or(cfg.MaxOverride, defaultMaxOverride)
	cfg.Replicas = cmp.Or(cfg.Replicas, 1)
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Watcher{
		cfg: cfg, log: log, stop: stop, changed: make(chan struct{}, 1), sites: cfg.Sites,
		changes: ledger.ChangeLogger{Log: log}, source: SourceNone, rereadNow: func() {},
	}
	kept := w.restore()
	w.stopped.Go(func() { w.keep(kept) })
	w.stopped.Go(func() { w.run(ctx) })
	return w
}

// Close stops following, and returns when the last state is kept. What is known
// stays known for as long as it is not too old.
func (w *Watcher) Close() {
	w.stop()
	w.stopped.Wait()
}

// Orders returns the last known orders, by kind and site, without waiting.
// Expired ones are among them: ask [visit.Order.InForce]. They are shared and
// must not be changed.
//
// known is false until the bucket was read or a recent state loaded, once that was
// longer ago than MaxAge, while the bucket is unfit to keep a lockdown, and while
// one may have been pushed out of it. Lockdowns among the orders are in force all
// the same; an override is not.
func (w *Watcher) Orders() (all []visit.Order, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.orders, w.known()
}

// OrdersAt does the same for a single site: where a lockdown of another one may have
// been pushed out, the orders are known all the same.
func (w *Watcher) OrdersAt(site string) (all []visit.Order, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	doubt := w.entries[ledger.Key(visit.OrderLockdown, site)].Doubt || w.entries[ledger.Key(visit.OrderLockdown, visit.AllSites)].Doubt
	return w.orders, w.readOfLate() && !doubt
}

// readOfLate reports whether the bucket was read of late, and is fit. It is called with
// the lock held.
func (w *Watcher) readOfLate() bool {
	return !w.heard.IsZero() && time.Since(w.heard) <= w.cfg.MaxAge && !w.unread && !w.purged && w.look.unfit == nil
}

// known is called with the lock held.
func (w *Watcher) known() bool {
	if !w.readOfLate() {
		return false
	}
	for _, r := range w.entries {
		if r.Doubt {
			return false
		}
	}
	return true
}

// wasRead reports whether there was a bucket, here or in an earlier process.
func (w *Watcher) wasRead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.source != SourceNone
}

// SetSites changes whose orders are followed. Until the orders of a new site were
// read, the orders are not known.
func (w *Watcher) SetSites(sites []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sites = append([]string{}, sites...) // none is not all
	if w.source != SourceBucket {
		return // they are read anyway
	}
	if w.unread = !w.covers(w.lastKeys); w.unread {
		w.rereadNow()
	}
}

// wanted are the keys to be read, or none for all.
func (w *Watcher) wanted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keysLocked()
}

func (w *Watcher) keysLocked() []string {
	if w.sites == nil {
		return nil
	}
	var keys []string
	for _, kind := range []visit.OrderKind{visit.OrderLockdown, visit.OrderOverride} {
		for _, site := range append([]string{visit.AllSites}, w.sites...) {
			keys = append(keys, ledger.Key(kind, site))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// covers reports whether these keys are all that is wanted.
func (w *Watcher) covers(keys []string) bool {
	if len(keys) == 0 {
		return true
	}
	read := setOf(keys)
	return w.sites != nil && !slices.ContainsFunc(w.keysLocked(), func(key string) bool { return !read[key] })
}

func setOf(keys []string) map[string]bool {
	set := make(map[string]bool, len(keys))
	for _, key := range keys {
		set[key] = true
	}
	return set
}

const (
	retryPause = 250 * time.Millisecond
	// deniedPause is longer, since the server logs every denial.
	deniedPause = 2 * time.Second
)

func (w *Watcher) run(ctx context.Context) {
	defer close(w.changed)
	for {
		err := dial.WhilePermitted(ctx, w.cfg.JetStream.Conn(), toFollow(w.cfg.Bucket), w.follow)
		next := retryPause
		if errors.Is(err, visit.ErrDenied) {
			next = deniedPause
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = w.absent(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.report(err)
			w.changes.Tell(w.entries, string(w.source), time.Now()) // of what expires meanwhile
			pause.For(ctx, next)
		}
	}
}
