package subscriber

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
)

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
	Concurrency int
	// OnError hears of every question that could not be answered. The error
	// may hold what the program put into it.
	OnError func(error)
}

// DeciderStats is the "data" of the service's statistics in NATS discovery.
type DeciderStats struct {
	Answered   int64 `json:"answered"`
	Failed     int64 `json:"failed"`
	Overloaded int64 `json:"overloaded"`
	// Expired counts questions that were dropped because nobody waited any
	// more.
	Expired int64 `json:"expired"`
	// AverageNanoseconds is the mean time that an answered question took.
	AverageNanoseconds int64 `json:"average_ns"`
}

// Errors that are reported to OnError.
var (
	// ErrOverloaded: more questions came at once than the configuration
	// allows.
	ErrOverloaded = errors.New("more questions at once than configured")
	// ErrExpired: the question's time was over before it could be answered.
	ErrExpired = errors.New("the question's time was over")
)

// Headers of an error reply, as NATS micro services have them.
const (
	headerError     = micro.ErrorHeader
	headerErrorCode = micro.ErrorCodeHeader
)

func (c DeciderConfig) complete() (DeciderConfig, error) {
	if c.Decider == "" {
		c.Decider = "default"
	}
	if !visit.ValidName(c.Decider) {
		return c, fmt.Errorf("decider %q must match %s", c.Decider, visit.NamePattern)
	}
	if len(c.Sites) == 0 {
		return c, errors.New("at least one site is needed")
	}
	for _, site := range c.Sites {
		if !visit.ValidName(site) {
			return c, fmt.Errorf("site %q must match %s", site, visit.NamePattern)
		}
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 64
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	return c, nil
}

// Decide answers check-in requests until ctx ends; then it answers those that it
// has and returns nil. The context given to decide ends when the visitor's time
// is over. An error or a panic becomes an error reply without its text, so that
// the relay knows at once and nothing personal travels; the relay then uses the
// integration's fallback.
//
// It is a NATS micro service: programs with the same sites and name share the
// questions, and `nats micro ls` shows it. It returns an error when it cannot
// start.
func Decide(ctx context.Context, nc *nats.Conn, cfg DeciderConfig, decide func(context.Context, visit.Request) (visit.Decision, error)) error {
	cfg, err := cfg.complete()
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	d := &decider{cfg: cfg, nc: nc, decide: decide, slots: make(chan struct{}, cfg.Concurrency)}
	service, err := micro.AddService(nc, micro.Config{
		Name: cfg.Decider, Version: cfg.Version, Description: cfg.Description,
		Metadata:     map[string]string{"decider": cfg.Decider},
		StatsHandler: func(*micro.Endpoint) any { return d.stats() },
	})
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	defer service.Stop()
	for _, site := range cfg.Sites {
		err := service.AddEndpoint(site, micro.HandlerFunc(d.receive),
			micro.WithEndpointSubject(cfg.Subjects.Ask(site, cfg.Decider)),
			micro.WithEndpointQueueGroup(cfg.Decider),
			micro.WithEndpointMetadata(map[string]string{"site": site, "decider": cfg.Decider}))
		if err != nil {
			return fmt.Errorf("decide for site %s: %w", site, err)
		}
	}
	<-ctx.Done()
	return d.finish(service)
}

type decider struct {
	cfg     DeciderConfig
	nc      *nats.Conn
	decide  func(context.Context, visit.Request) (visit.Decision, error)
	slots   chan struct{}
	running sync.WaitGroup

	answered, failed, overloaded, expired, nanoseconds atomic.Int64
}

func (d *decider) stats() DeciderStats {
	s := DeciderStats{
		Answered: d.answered.Load(), Failed: d.failed.Load(),
		Overloaded: d.overloaded.Load(), Expired: d.expired.Load(),
	}
	if s.Answered > 0 {
		s.AverageNanoseconds = d.nanoseconds.Load() / s.Answered
	}
	return s
}

// receive is called serially by the client: a decider that takes 200 ms would
// answer five questions in a second. So it only starts the answering.
//
// Replies are published here and not through req, whose bookkeeping is not made
// for another goroutine.
func (d *decider) receive(req micro.Request) {
	arrived := time.Now()
	question := nats.Msg{Subject: req.Subject(), Reply: req.Reply(), Data: req.Data()}
	left, timed := timeLeft(req.Headers())
	select {
	case d.slots <- struct{}{}:
	default:
		d.overloaded.Add(1)
		d.replyError(question.Reply, "503", "overloaded")
		d.cfg.OnError(fmt.Errorf("decide %s: %w", question.Subject, ErrOverloaded))
		return
	}
	d.running.Go(func() {
		defer func() { <-d.slots }()
		ctx := context.Background()
		if timed {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, arrived.Add(left))
			defer cancel()
		}
		d.answer(ctx, arrived, question)
	})
}

// timeLeft is what the question says remained when it was sent.
func timeLeft(h micro.Headers) (left time.Duration, ok bool) {
	ms, err := strconv.ParseInt(h.Get(visit.HeaderTimeout), 10, 64)
	return time.Duration(ms) * time.Millisecond, err == nil
}

func (d *decider) answer(ctx context.Context, arrived time.Time, question nats.Msg) {
	decision, err := d.decision(ctx, question.Data)
	switch {
	case ctx.Err() != nil:
		d.expired.Add(1)
		d.cfg.OnError(fmt.Errorf("decide %s: %w", question.Subject, ErrExpired))
		return
	case err != nil:
		d.failed.Add(1)
		d.replyError(question.Reply, "500", "the decider failed")
		d.cfg.OnError(fmt.Errorf("decide %s: %w", question.Subject, err))
		return
	}
	if err := d.nc.Publish(question.Reply, decision); err != nil {
		d.failed.Add(1)
		d.cfg.OnError(fmt.Errorf("reply to %s: %w", question.Subject, err))
		return
	}
	d.answered.Add(1)
	d.nanoseconds.Add(int64(time.Since(arrived)))
}

// decision asks the program and returns its reply, encoded.
func (d *decider) decision(ctx context.Context, data []byte) ([]byte, error) {
	var question visit.Request
	if err := json.Unmarshal(data, &question); err != nil {
		return nil, errors.New("the question cannot be read")
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // the visitor has gone; do not even begin
	}
	var decided visit.Decision
	err := recovered(func() (err error) {
		decided, err = d.decide(ctx, question)
		return err
	})
	if err != nil {
		return nil, err
	}
	if decided.Decider == "" {
		decided.Decider = d.cfg.Decider
	}
	if decided.Version == "" {
		decided.Version = d.cfg.Version
	}
	reply, err := json.Marshal(decided)
	if err != nil {
		return nil, fmt.Errorf("encode the decision: %w", err)
	}
	if _, err := visit.ParseDecision(reply); err != nil {
		return nil, err // the relay would not take it either
	}
	return reply, nil
}

func (d *decider) replyError(reply, code, description string) {
	err := d.nc.PublishMsg(&nats.Msg{Subject: reply, Header: nats.Header{
		headerErrorCode: {code}, headerError: {description},
	}})
	if err != nil {
		d.cfg.OnError(fmt.Errorf("reply: %w", err))
	}
}

// finish takes no more questions and answers those that are here.
func (d *decider) finish(service micro.Service) error {
	if err := service.Stop(); err != nil && !d.nc.IsClosed() {
		return fmt.Errorf("stop deciding: %w", err)
	}
	// What the server sent before it knew is in the client's queues: a flush
	// brings the last of it in, and a barrier runs once it was handed over.
	if d.nc.Flush() == nil {
		handedOver := make(chan struct{})
		if d.nc.Barrier(func() { close(handedOver) }) == nil {
			<-handedOver
		}
	}
	d.running.Wait()
	if err := d.nc.Flush(); err != nil && !d.nc.IsClosed() {
		return fmt.Errorf("send the last replies: %w", err)
	}
	return nil
}
