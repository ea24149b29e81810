package subscriber

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
)

// Decide answers check-in requests until ctx ends; then it answers those that it
// has and returns nil. The context given to decide ends when the visitor's time
// is over; an answer that comes later is dropped, because nobody waits for it.
// A question that waited while the program did not run, because it was stopped or
// got no CPU, has the time that is left of its own.
//
// A question may come twice, with the same RequestID: the relay asks again when no
// reply has come in half of the time, or its connection dropped. The program that is
// deciding it, or has, is not asked again and answers both. Another one of the same
// group is asked, though. So where deciding twice would do harm, as a badge that is
// printed, go by RequestID.
//
// An error, a panic or a decision without a verdict becomes an error reply
// without its text, so that the relay knows at once and nothing personal
// travels; the relay then uses the integration's fallback.
//
// It is a NATS micro service: programs with the same sites and decider share the
// questions, each question going to one of them, and `nats micro ls` shows it.
// It returns an error when it cannot start ([ErrDenied] among them), and when
// the connection is closed under it ([nats.ErrConnectionClosed]).
//
// The NATS user needs permission to subscribe to visitors.v1.ask.<site>.<decider>
// and, for discovery, to $SRV.>, and to publish replies: allow_responses.
func Decide(ctx context.Context, nc *nats.Conn, cfg DeciderConfig, decide func(ctx context.Context, q visit.CheckInRequest) (visit.Decision, error)) error {
	cfg, err := cfg.complete()
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	d := &decider{cfg: cfg, nc: nc, decide: decide, slots: make(chan struct{}, cfg.Concurrency), repeats: newRepeats()}
	var abort context.CancelFunc
	d.working, abort = context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	defer d.heedDenials(ctx)()
	go d.keepPulse()

	closed := make(chan struct{})
	service, err := micro.AddService(nc, cfg.service(d.stats, sync.OnceFunc(func() { close(closed) })))
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	if err := d.listen(service); err != nil {
		return errors.Join(err, d.finish(service, abort))
	}
	cfg.OnReady()
	select {
	case <-ctx.Done():
		return d.finish(service, abort)
	case <-closed:
		return fmt.Errorf("decide: %w", nats.ErrConnectionClosed)
	}
}

type decider struct {
	cfg    DeciderConfig
	nc     *nats.Conn
	decide func(context.Context, visit.CheckInRequest) (visit.Decision, error)
	// working is what the contexts of questions are made from.
	working context.Context
	slots   chan struct{}
	repeats *repeats
	running sync.WaitGroup

	answered, failed, overloaded, expired, late, stalls atomic.Int64
	// asked counts the questions that took the nanoseconds.
	asked, nanoseconds atomic.Int64
	pulse              pulse
	// replied is the subject of the last answer.
	replied atomic.Pointer[string]
}

// listen subscribes to the questions of every site. The queue group is that of
// every micro service, so that a decider in another language shares it.
func (d *decider) listen(service micro.Service) error {
	for _, site := range d.cfg.Sites {
		before, subject := d.nc.LastError(), d.cfg.Subjects.Ask(site, d.cfg.Decider)
		err := service.AddEndpoint(site, micro.HandlerFunc(d.receive),
			micro.WithEndpointSubject(subject),
			micro.WithEndpointMetadata(map[string]string{"site": site, "decider": d.cfg.Decider}))
		if err != nil {
			return fmt.Errorf("decide for site %s: %w", site, err)
		}
		// A refusal comes before the flush's answer. Without a connection
		// there is none yet, and nothing to see.
		if d.nc.FlushTimeout(lastWait) != nil {
			continue
		}
		if err := denial(d.nc, before, func(s string) bool { return s == subject }); err != nil {
			return fmt.Errorf("decide for site %s: %w", site, err)
		}
	}
	return nil
}

func (d *decider) stats() visit.DeciderStats {
	s := visit.DeciderStats{
		Decided: d.answered.Load(), Failed: d.failed.Load(), Overloaded: d.overloaded.Load(),
		Expired: d.expired.Load(), Late: d.late.Load(), Stalls: d.stalls.Load(),
	}
	if asked := d.asked.Load(); asked > 0 {
		s.AverageMs = float64(d.nanoseconds.Load()) / float64(asked) / 1e6
	}
	return s
}

// finish takes no more questions and answers those that are here, within the
// grace period. Without a connection there is nobody to answer.
func (d *decider) finish(service micro.Service, abort context.CancelFunc) error {
	if err := service.Stop(); err != nil && d.nc.IsConnected() {
		return fmt.Errorf("stop deciding: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.awaitHandedOver()
		d.running.Wait()
	}()
	err := finished(done, d.cfg.GracePeriod, abort)
	d.flush()
	return err
}

// awaitHandedOver returns when what the server sent before it knew that we stop
// was handed over: a flush brings the last of it in, and a barrier runs behind it.
func (d *decider) awaitHandedOver() {
	if d.flush() {
		<-d.handedOver()
	}
}

// handedOver is closed when everything that has come in was handed over, on every
// subscription of the connection.
func (d *decider) handedOver() <-chan struct{} {
	done := make(chan struct{})
	if d.nc.Barrier(func() { close(done) }) != nil {
		close(done)
	}
	return done
}

// flush reports whether everything that was sent has arrived.
func (d *decider) flush() bool {
	return d.nc.IsConnected() && d.nc.FlushTimeout(lastWait) == nil
}

// DeciderConfig says which questions to answer. Sites and Version are required.
type DeciderConfig struct {
	// Sites are the sites whose check-in requests are decided.
	Sites []string
	// Decider is the name under which integrations know the decider,
	// "default" by default.
	Decider string
	// Version is the program's own, as semantic versioning has it: 1.2.3.
	Version     string
	Description string
	Subjects    visit.Subjects
	// Concurrency is how many questions are answered at once, 64 by default.
	// Those beyond it are told at once that the decider is overloaded.
	// Questions that come again because another program is slow are among them.
	Concurrency int
	// GracePeriod is how long questions may still be answered once the context
	// has ended, before the context given to decide ends too. 20 s by default.
	GracePeriod time.Duration
	// OnReady is called once, when the questions of all sites come here; without
	// a connection, when they will as soon as there is one.
	OnReady func()
	// OnError hears of every question that could not be answered. The error
	// may hold what the program put into it. It is called by several
	// goroutines at once and must be quick: the next question waits for it.
	// By default the error is logged by slog's default logger.
	OnError func(error)
}

// complete checks the configuration and fills its defaults in. The version is
// left to package micro.
func (c DeciderConfig) complete() (DeciderConfig, error) {
	if c.Decider == "" {
		c.Decider = "default"
	}
	if c.Concurrency == 0 {
		c.Concurrency = 64
	}
	if c.GracePeriod == 0 {
		c.GracePeriod = defaultGrace
	}
	if c.OnReady == nil {
		c.OnReady = func() {}
	}
	if c.OnError == nil {
		c.OnError = logError
	}
	return c, c.check()
}

func (c DeciderConfig) check() error {
	if !visit.ValidName(c.Decider) {
		return fmt.Errorf("decider %q must match %s", c.Decider, visit.NamePattern)
	}
	if len(c.Sites) == 0 {
		return errors.New("at least one site is needed")
	}
	for i, site := range c.Sites {
		if !visit.ValidName(site) {
			return fmt.Errorf("site %q must match %s", site, visit.NamePattern)
		}
		if slices.Contains(c.Sites[:i], site) {
			return fmt.Errorf("site %q is there twice", site)
		}
	}
	if c.Concurrency < 0 || c.GracePeriod < 0 {
		return errors.New("concurrency and grace period must not be negative")
	}
	return nil
}

// service is the decider as NATS discovery shows it.
func (c DeciderConfig) service(stats func() visit.DeciderStats, ended func()) micro.Config {
	return micro.Config{
		Name: visit.DeciderService, Version: c.Version, Description: c.Description,
		Metadata:     map[string]string{"decider": c.Decider, "sites": strings.Join(c.Sites, ",")},
		StatsHandler: func(*micro.Endpoint) any { return stats() },
		DoneHandler:  func(micro.Service) { ended() },
	}
}
