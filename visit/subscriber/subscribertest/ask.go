package subscribertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber/internal/call"
)

// DefaultTimeout is how long a decider may take unless [Within] says otherwise: the
// decisionBudget that a relay has by default.
const DefaultTimeout = 2500 * time.Millisecond

// Decide is the function of a decider.
type Decide = func(ctx context.Context, r visit.CheckInRequest) (visit.Decision, error)

// Option changes how a decider is asked.
type Option func(*question)

// Within asks for a decision within d. The context of the decider ends then.
func Within(d time.Duration) Option { return func(q *question) { q.timeout = d } }

type question struct{ timeout time.Duration }

// Ask asks a decider and returns its decision as the relay reads it: texts without control
// characters, and of a rejection only what is valid. The test fails at once when there is
// no decision in time: decide returned an error, it panicked, its acceptance is invalid,
// or it is late.
//
// The decider gets the request in its wire form, and a context that ends when nobody waits
// any more. For one that disregards its context the end of the test waits ten seconds.
func Ask(t testing.TB, decide Decide, r visit.CheckInRequest, o ...Option) visit.Decision {
	t.Helper()
	d, err := Try(t, decide, r, o...)
	if err != nil {
		t.Fatalf("no decision, so the visitor gets the integration's fallback %q: %v", situation(err), err)
	}
	return d
}

// Try is Ask for a test of what happens without a decision. The error is how the relay
// learns of it: it wraps [visit.ErrTimeout], or [visit.ErrBadReply] and the decider's
// error.
func Try(t testing.TB, decide Decide, r visit.CheckInRequest, o ...Option) (visit.Decision, error) {
	t.Helper()
	return prepare(t, r, o).ask(t, decide)
}

// Answer is what became of one of several requests.
type Answer struct {
	Decision visit.Decision
	Err      error // as of [Try]
}

// TryAtOnce is Try for requests that arrive all at the same moment at a program with that
// Concurrency. Those beyond it are answered at once, with an error that wraps
// [visit.ErrBadReply] and subscriber.ErrOverloaded. The others are decided concurrently, so
// that the race detector sees what they share.
func TryAtOnce(t testing.TB, concurrency int, decide Decide, requests []visit.CheckInRequest, o ...Option) []Answer {
	t.Helper()
	answers := make([]Answer, len(requests))
	var asked sync.WaitGroup
	for i, r := range requests {
		if i >= concurrency {
			answers[i].Err = fmt.Errorf("%w: %w", visit.ErrBadReply, call.ErrOverloaded)
			continue
		}
		m := prepare(t, r, o)
		asked.Go(func() { answers[i].Decision, answers[i].Err = m.ask(t, decide) })
	}
	asked.Wait()
	return answers
}

// situation is the name that fallbacks have for it.
func situation(err error) string {
	if errors.Is(err, visit.ErrTimeout) {
		return visit.SituationTimeout
	}
	return visit.SituationBadReply
}

// message is a request on the wire.
type message struct {
	question
	data []byte
}

func prepare(t testing.TB, r visit.CheckInRequest, options []Option) message {
	t.Helper()
	m := message{question: question{timeout: DefaultTimeout}}
	for _, o := range options {
		o(&m.question)
	}
	if r.Source != nil && !json.Valid(r.Source) {
		t.Fatal("the request's Source is not JSON: the relay would not ask a decider")
	}
	encoded, err := r.Message(visit.Subjects{}, "default")
	if err != nil {
		t.Fatalf("the request cannot be encoded: %v", err)
	}
	m.data = encoded.Data
	return m
}

// errLeft is that the function ended its goroutine, as FailNow of a test does.
var errLeft = errors.New("the decider ended its goroutine instead of returning; use t.Error in it and not t.Fatal")

// lingering is how long the end of a test waits for a function that is late: what it does
// afterwards would be taken for the doing of another test.
const lingering = 10 * time.Second

// ask returns at the deadline at the latest. The function has a goroutine of its own, as
// in a program in service: one that hangs is late, and does not hang the test.
func (m message) ask(t testing.TB, decide Decide) (visit.Decision, error) {
	ctx, cancel := context.WithTimeout(t.Context(), m.timeout)
	defer cancel()
	answered, returned := make(chan reply, 1), make(chan struct{})
	go func() {
		defer close(returned)
		r := reply{err: errLeft}
		defer func() { answered <- r }()
		r.data, r.err = call.Program{Decider: "default"}.Reply(ctx, m.data, recovering(decide))
	}()
	t.Cleanup(func() {
		select {
		case <-returned:
		case <-time.After(lingering):
		}
	})
	late := fmt.Errorf("%w: the decider had %s", visit.ErrTimeout, m.timeout)
	select {
	case <-ctx.Done():
		return visit.Decision{}, late
	case r := <-answered:
		switch {
		case ctx.Err() != nil: // both at once
			return visit.Decision{}, late
		case r.err != nil:
			return visit.Decision{}, fmt.Errorf("%w: %w", visit.ErrBadReply, r.err)
		}
		return visit.ParseDecision(r.data)
	}
}

type reply struct {
	data []byte
	err  error
}

// recovering makes an error of a panic.
func recovering(decide Decide) Decide {
	return func(ctx context.Context, r visit.CheckInRequest) (d visit.Decision, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("the decider panicked: %v\n%s", v, debug.Stack())
			}
		}()
		return decide(ctx, r)
	}
}
