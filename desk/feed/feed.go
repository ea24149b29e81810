// Package feed fills what the desk knows: from what is stored of the last day, from what
// happens, and by asking again and again what nobody says by itself.
package feed

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/live"
	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// pollInterval is between two questions to relays and deciders, and pollTimeout how
	// long the answer may take.
	pollInterval = 3 * time.Second
	pollTimeout  = 4 * time.Second
	// watchInterval is between two looks at the connection, which ask nobody.
	watchInterval = 500 * time.Millisecond
	retryHistory  = 5 * time.Second
	lookBack      = 24 * time.Hour
	// maxOverlap bounds what is followed while the last day is read, of which each is to
	// be counted once.
	maxOverlap = 100_000
)

// Broker is what is read. Its methods are those of the desk's.
type Broker interface {
	Connected() error
	Relays(ctx context.Context) ([]visit.Relay, error)
	Deciders(ctx context.Context) ([]visit.Decider, error)
	Orders(ctx context.Context) ([]visit.Order, error)
	Records(ctx context.Context, site, result string, from, to time.Time, fn func(visit.Record) error) error
	Events(ctx context.Context, site string, from, to time.Time, fn func(visit.Event) error) error
	Follow(ctx context.Context, record func(visit.Record), event func(visit.Event), state func(error)) error
}

// Feed fills a model and a log.
type Feed struct {
	broker    Broker
	model     *doors.Model
	log       *live.Log
	now       func() time.Time
	following prometheus.Gauge
	logger    *slog.Logger
	interval  time.Duration
	wanted    chan struct{}

	logging sync.Mutex
	failing map[doors.Source]bool

	begun chan struct{} // closed when following has begun
	once  sync.Once

	mu      sync.Mutex
	overlap map[string]bool // ids that were followed while the last day is read; nil when it is not
}

// New returns a feed that has not begun.
func New(b Broker, m *doors.Model, l *live.Log, now func() time.Time, logger *slog.Logger, reg prometheus.Registerer) *Feed {
	f := &Feed{broker: b, model: m, log: l, now: now, logger: logger, failing: map[doors.Source]bool{}, begun: make(chan struct{}), interval: pollInterval, wanted: make(chan struct{}, 1), following: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sine_relay_desk_following", Help: "1 while the desk follows what is stored, else 0.",
	})}
	reg.MustRegister(f.following)
	return f
}

// Run feeds until ctx ends. Without NATS it goes on trying.
func (f *Feed) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { f.follow(ctx) })
	running.Go(func() { f.history(ctx) })
	running.Go(func() { f.watch(ctx) })
	running.Go(func() { f.poll(ctx) })
	running.Wait()
}

func (f *Feed) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.broker.Follow(ctx, f.record, f.event, f.state)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("following has ended")
		}
		f.state(err)
		pause.For(ctx, retryHistory)
	}
}

func (f *Feed) state(err error) {
	f.note(doors.Following, err)
	f.following.Set(0)
	if err == nil {
		f.following.Set(1)
		f.once.Do(func() { close(f.begun) })
	}
}

func (f *Feed) record(r visit.Record) {
	f.log.Add(live.OfRecord(&r))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.model.Record(&r)
	f.remember(r.RequestID)
}

func (f *Feed) event(e visit.Event) {
	f.log.Add(live.OfEvent(&e))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.model.Event(&e)
	f.remember(e.ID)
}

func (f *Feed) remember(id string) {
	if f.overlap != nil && len(f.overlap) < maxOverlap {
		f.overlap[id] = true
	}
}

// history reads the last day once following has begun, so that nothing falls between.
func (f *Feed) history(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-f.begun:
	}
	for ctx.Err() == nil {
		err := f.readDay(ctx)
		f.note(doors.History, err)
		if err == nil {
			return
		}
		pause.For(ctx, retryHistory)
	}
}

// readDay begins anew: what an attempt that failed has read, and what was followed
// before, is stored and read again.
func (f *Feed) readDay(ctx context.Context) error {
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
func (f *Feed) unlessFollowed(id string, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.overlap[id] {
		do()
	}
}

// watch notices soon when NATS cannot be reached any more; to ask it takes longer.
func (f *Feed) watch(ctx context.Context) {
	for ctx.Err() == nil {
		f.note(doors.NATS, f.broker.Connected())
		pause.For(ctx, watchInterval)
	}
}

// poll asks again and again what nobody says by itself.
func (f *Feed) poll(ctx context.Context) {
	for ctx.Err() == nil {
		f.Look(ctx)
		select {
		case <-ctx.Done():
		case <-f.wanted:
		case <-time.After(f.interval):
		}
	}
}

// Soon has it asked at once, as after an order: it does not wait for the answers.
func (f *Feed) Soon() {
	select {
	case f.wanted <- struct{}{}:
	default:
	}
}

// Look asks NATS, the relays, the deciders and for the orders, all at once.
func (f *Feed) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := f.broker.Connected(); err != nil {
		f.note(doors.NATS, err)
		return // nobody could answer
	}
	f.note(doors.NATS, nil)
	var asking sync.WaitGroup
	var relays []visit.Relay
	var deciders []visit.Decider
	var relaysErr, decidersErr error
	asking.Go(func() { relays, relaysErr = f.broker.Relays(ctx) })
	asking.Go(func() { deciders, decidersErr = f.broker.Deciders(ctx) })
	asking.Go(func() {
		orders, err := f.broker.Orders(ctx)
		f.model.Orders(orders, err)
		f.logChange(ctx, doors.Orders, err)
	})
	asking.Wait()
	f.model.Discovered(relays, relaysErr, deciders, decidersErr)
	f.logChange(ctx, doors.Relays, relaysErr)
	f.logChange(ctx, doors.Deciders, decidersErr)
}

func (f *Feed) note(s doors.Source, err error) {
	f.model.Note(s, err)
	f.logChange(context.Background(), s, err)
}

// logChange logs when something cannot be read any more, and when it can again.
func (f *Feed) logChange(ctx context.Context, s doors.Source, err error) {
	f.logging.Lock()
	defer f.logging.Unlock()
	switch {
	case f.failing[s] == (err != nil) || errors.Is(ctx.Err(), context.Canceled):
	case err != nil:
		f.logger.Warn("the desk cannot read", "what", s.String(), "err", err.Error())
		f.failing[s] = true
	default:
		f.logger.Info("the desk reads again", "what", s.String())
		f.failing[s] = false
	}
}
