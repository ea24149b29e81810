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

// Decide calls decide for every check-in request and replies with its decision, until
// ctx ends; then it finishes the requests in flight and returns nil. The context of
// decide ends at the request's deadline; a later decision is dropped, because nobody
// waits for it. The time for which the program did not run, because it was stopped or
// got no CPU, counts.
//
// A request may be delivered twice, with the same RequestID: the relay sends it again
// when half of the time has passed without a reply, or its connection was lost. A
// program that is deciding it, or has decided it, does not call decide again and sends
// the one decision to both. Another program of the same queue group may get the second
// one, though. So where deciding twice would do harm, as printing a badge, deduplicate
// by RequestID.
//
// An error, a panic or an invalid decision becomes an error reply without its text, so
// that the relay knows at once and no personal data is sent; the relay then uses the
// integration's fallback.
//
// Decide is a NATS micro service: programs with the same sites and decider share the
// requests, each of which goes to one of them, and `nats micro ls` lists them. It
// returns an error when it cannot start, such as [ErrDenied], and
// [nats.ErrConnectionClosed] when the connection was closed.
//
// The NATS user needs permission to subscribe to visitors.v1.ask.<site>.<decider>
// and, for discovery, to $SRV.>, and to publish replies: allow_responses. Where a program
// calls Decide n times on one connection, for several deciders or sites, the user needs
// 2n-1 replies to be seen by discovery: `allow_responses: {max: 31, expires: "2m"}` is
// enough for 16. With fewer it decides all the same. One call with several Sites, and a
// connection for each call, need one.
func Decide(ctx context.Context, nc *nats.Conn, cfg DeciderConfig, decide func(ctx context.Context, r visit.CheckInRequest) (visit.Decision, error)) error {
	cfg, err := cfg.complete()
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	d := &decider{cfg: cfg, nc: nc, decide: decide, slots: make(chan struct{}, cfg.Concurrency), recent: newRecentRequests()}
	var abort context.CancelFunc
	d.working, abort = context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	defer d.watchPermissions(ctx)()
	go d.watchStalls()

	closed := make(chan struct{})
	service, err := micro.AddService(nc, cfg.service(d.stats, sync.OnceFunc(func() { close(closed) })))
	if errors.Is(err, micro.ErrConfigValidation) { // all else was checked
		err = fmt.Errorf("field Version must be a semantic version such as 1.2.3, got %q", cfg.Version)
	}
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
	// working is the parent of the contexts of requests.
	working context.Context
	slots   chan struct{}
	recent  *recentRequests
	running sync.WaitGroup

	decided, failed, overloaded, expired, late, stalls atomic.Int64
	// timed counts the requests that took the nanoseconds.
	timed, nanoseconds atomic.Int64
	pulse              pulse
	// replied is the subject of the last reply.
	replied atomic.Pointer[string]
}

// listen subscribes to the check-in requests of every site. The queue group is that of
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
		// A permission violation comes before the reply to the flush. Without a
		// connection there is neither yet.
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
		Decided: d.decided.Load(), Failed: d.failed.Load(), Overloaded: d.overloaded.Load(),
		Expired: d.expired.Load(), Late: d.late.Load(), Stalls: d.stalls.Load(),
	}
	if timed := d.timed.Load(); timed > 0 {
		s.AverageMs = float64(d.nanoseconds.Load()) / float64(timed) / 1e6
	}
	return s
}

// finish takes no more requests and decides those in flight, within the grace period.
// Without a connection no reply can be sent.
func (d *decider) finish(service micro.Service, abort context.CancelFunc) error {
	if err := service.Stop(); err != nil && d.nc.IsConnected() {
		return fmt.Errorf("stop deciding: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.awaitDelivered()
		d.running.Wait()
	}()
	err := finished(done, d.cfg.GracePeriod, abort)
	d.flush()
	return err
}

// awaitDelivered returns when everything that the server sent before it knew of the
// stop was delivered: a flush brings the last of it in, and a barrier runs behind it.
func (d *decider) awaitDelivered() {
	if d.flush() {
		<-d.delivered()
	}
}

// delivered is closed when everything that was received is delivered, on every
// subscription of the connection.
func (d *decider) delivered() <-chan struct{} {
	done := make(chan struct{})
	if d.nc.Barrier(func() { close(done) }) != nil {
		close(done)
	}
	return done
}

// flush reports whether the server has everything that was sent.
func (d *decider) flush() bool {
	return d.nc.IsConnected() && d.nc.FlushTimeout(lastWait) == nil
}

// DeciderConfig says which check-in requests to decide. Sites and Version are required.
type DeciderConfig struct {
	// Sites are the sites whose check-in requests are decided.
	Sites []string
	// Decider is the decider's name in the relay's integrations, "default" by
	// default.
	Decider string
	// Version is that of the program, a semantic version such as 1.2.3.
	Version string
	// Description is shown by service discovery.
	Description string
	// Subjects has the subject prefix of the installation.
	Subjects visit.Subjects
	// Concurrency is the maximum number of requests in flight, 64 by default. Further
	// ones get an error reply at once. Requests that are sent again because another
	// program is slow count.
	Concurrency int
	// GracePeriod is the time for requests in flight once the context has ended,
	// before the context of decide ends too. 20 s by default.
	GracePeriod time.Duration
	// OnReady is called once, when the program is subscribed for all sites; without a
	// connection, when it will be as soon as there is one.
	OnReady func()
	// OnError gets an error for every request without a decision. It contains the
	// error of decide. OnError is called concurrently and must return quickly: the
	// next request waits for it. By default errors are logged by slog's default
	// logger.
	OnError func(error)
}

// complete sets the defaults and checks the configuration. The version is left to
// package micro.
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
		return fmt.Errorf("field Decider must match %s, got %q", visit.NamePattern, c.Decider)
	}
	if len(c.Sites) == 0 {
		return errors.New("field Sites must contain at least one site")
	}
	for i, site := range c.Sites {
		if !visit.ValidName(site) {
			return fmt.Errorf("field Sites must match %s, got %q", visit.NamePattern, site)
		}
		if slices.Contains(c.Sites[:i], site) {
			return fmt.Errorf("field Sites contains %q twice", site)
		}
	}
	if c.Concurrency < 0 || c.GracePeriod < 0 {
		return errors.New("fields Concurrency and GracePeriod must not be negative")
	}
	return nil
}

// service is the decider as a NATS micro service.
func (c DeciderConfig) service(stats func() visit.DeciderStats, ended func()) micro.Config {
	return micro.Config{
		Name: visit.DeciderService, Version: c.Version, Description: c.Description,
		Metadata:     map[string]string{"decider": c.Decider, "sites": strings.Join(c.Sites, ",")},
		StatsHandler: func(*micro.Endpoint) any { return stats() },
		DoneHandler:  func(micro.Service) { ended() },
	}
}
