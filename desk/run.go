package desk

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/live"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// pollInterval is between two questions to relays and deciders, and pollTimeout how
	// long the answer may take.
	pollInterval = 3 * time.Second
	pollTimeout  = 4 * time.Second
	retryHistory = 5 * time.Second
	lookBack     = 24 * time.Hour
	// maxOverlap bounds what is followed while the last day is read, of which each is to
	// be counted once.
	maxOverlap = 100_000
)

// Run reads the last day and follows what happens until ctx ends. Without NATS it goes on
// trying. It ends the streams of all pages, and returns nil.
func (d *Desk) Run(ctx context.Context) error {
	defer d.ended.Do(func() { close(d.stop) })
	f := &feed{Desk: d, begun: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() { f.follow(ctx) })
	running.Go(func() { f.history(ctx) })
	running.Go(func() { d.poll(ctx) })
	running.Wait()
	return nil
}

// feed fills the model from what is stored and from what happens.
type feed struct {
	*Desk
	begun chan struct{} // closed when following has begun
	once  sync.Once

	mu      sync.Mutex
	overlap map[string]bool // ids that were followed while the last day is read; nil when it is not
}

func (f *feed) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.broker.Follow(ctx, f.record, f.event, f.state)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("following has ended")
		}
		f.state(err)
		pause(ctx, retryHistory)
	}
}

func (f *feed) state(err error) {
	f.model.Note(doors.Following, err)
	f.metrics.setFollowing(err == nil)
	if err == nil {
		f.once.Do(func() { close(f.begun) })
	}
}

func (f *feed) record(r visit.Record) {
	f.live.Add(live.OfRecord(&r))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.model.Record(&r)
	f.remember(r.RequestID)
}

func (f *feed) event(e visit.Event) {
	f.live.Add(live.OfEvent(&e))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.model.Event(&e)
	f.remember(e.ID)
}

func (f *feed) remember(id string) {
	if f.overlap != nil && len(f.overlap) < maxOverlap {
		f.overlap[id] = true
	}
}

// history reads the last day once following has begun, so that nothing falls between.
func (f *feed) history(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-f.begun:
	}
	for ctx.Err() == nil {
		err := f.readDay(ctx)
		f.model.Note(doors.History, err)
		if err == nil {
			return
		}
		pause(ctx, retryHistory)
	}
}

// readDay begins anew: what an attempt that failed has read, and what was followed
// before, is stored and read again.
func (f *feed) readDay(ctx context.Context) error {
	f.mu.Lock()
	f.overlap = map[string]bool{}
	f.model.Forget()
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.overlap = nil
		f.mu.Unlock()
	}()
	from := f.now().Add(-lookBack)
	err := f.broker.Records(ctx, "", "", from, time.Time{}, func(r visit.Record) error {
		f.unlessFollowed(r.RequestID, func() { f.model.Record(&r) })
		return nil
	})
	if err != nil {
		return err
	}
	return f.broker.Events(ctx, "", from, time.Time{}, func(e visit.Event) error {
		f.unlessFollowed(e.ID, func() { f.model.Event(&e) })
		return nil
	})
}

// unlessFollowed does something unless it was done while following.
func (f *feed) unlessFollowed(id string, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.overlap[id] {
		do()
	}
}

// poll asks again and again what nobody says by itself.
func (d *Desk) poll(ctx context.Context) {
	for ctx.Err() == nil {
		d.look(ctx)
		pause(ctx, pollInterval)
	}
}

// look asks NATS, the relays, the deciders and for the orders, all at once.
func (d *Desk) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := d.broker.Connected(); err != nil {
		d.model.Note(doors.NATS, err)
		return // nobody could answer
	}
	d.model.Note(doors.NATS, nil)
	var asking sync.WaitGroup
	var relays []visit.Relay
	var deciders []visit.Decider
	var relaysErr, decidersErr error
	asking.Go(func() { relays, relaysErr = d.broker.Relays(ctx) })
	asking.Go(func() { deciders, decidersErr = d.broker.Deciders(ctx) })
	asking.Go(func() { d.model.Orders(d.broker.Orders(ctx)) })
	asking.Wait()
	d.model.Discovered(relays, relaysErr, deciders, decidersErr)
}

func pause(ctx context.Context, t time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(t):
	}
}
