package subscriber

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber/internal/call"
)

// Errors that are reported to [DeciderConfig].OnError.
var (
	// ErrOverloaded is reported for a check-in request beyond
	// [DeciderConfig].Concurrency.
	ErrOverloaded = call.ErrOverloaded
	// ErrExpired is reported when the deadline passed without a decision.
	ErrExpired = errors.New("no decision before the deadline")
	// ErrInvalidCheckInRequest is reported when the message cannot be read.
	ErrInvalidCheckInRequest = call.ErrInvalidCheckInRequest
)

// Codes of error replies, as of NATS micro services. The texts are fixed: that of an
// error may contain personal data.
const (
	codeOverloaded = "503"
	codeFailed     = "500"
	codeUnreadable = "400"
)

const (
	// defaultTimeout is for a request without a timeout, maxTimeout for one with a
	// longer timeout.
	defaultTimeout = 10 * time.Second
	maxTimeout     = 10 * time.Minute
)

// receive is called serially by the client: a decider that takes 200 ms would decide
// five requests in a second. So it only starts a goroutine for each.
//
// Replies are published here and not through req, which is not safe for another
// goroutine.
func (d *decider) receive(req micro.Request) {
	now := time.Now()
	defer d.delayedSince(now) // OnError is the program's, and may take long
	q := request{subject: req.Subject(), reply: req.Reply(), data: req.Data(), arrived: d.arrived(now)}
	deadline := q.arrived.Add(timeLeft(req.Headers()))
	if !now.Before(deadline) {
		d.expire(q)
		return
	}
	key := d.recent.key(req)
	if d.knownRequest(req, key) {
		return
	}
	select {
	case d.slots <- struct{}{}:
	default:
		d.overloaded.Add(1)
		d.refuse(q, codeOverloaded, "overloaded", ErrOverloaded)
		return
	}
	if d.recent.begin(key) {
		q.key = &key
	}
	ctx, cancel := context.WithDeadline(d.working, deadline)
	d.running.Go(func() {
		defer func() { cancel(); <-d.slots }()
		d.handle(ctx, q)
	})
}

type request struct {
	subject, reply string
	data           []byte
	arrived        time.Time
	// key is set when further attempts of the request are recognized by it.
	key *requestKey
}

// timeLeft is the time that remained when the request was sent.
func timeLeft(h micro.Headers) time.Duration {
	ms, err := strconv.ParseInt(h.Get(visit.HeaderTimeout), 10, 64)
	if err != nil {
		return defaultTimeout
	}
	return time.Duration(min(max(ms, 0), maxTimeout.Milliseconds())) * time.Millisecond
}

func (d *decider) handle(ctx context.Context, q request) {
	if over(ctx) {
		d.undecided(q)
		d.expire(q) // nobody waits for the decision: do not begin
		return
	}
	tooLate := d.expiry(ctx, q)
	reply, err := d.decision(ctx, q.data)
	switch {
	case tooLate():
		d.undecided(q)
		d.returnedLate(ctx, q, err)
	case errors.Is(err, ErrInvalidCheckInRequest):
		d.failed.Add(1)
		d.refuse(q, codeUnreadable, "invalid check-in request", err)
	case err != nil:
		d.failed.Add(1)
		d.took(time.Since(q.arrived))
		d.refuse(q, codeFailed, "the decider failed", err)
	default:
		d.took(time.Since(q.arrived))
		d.send(ctx, q, reply)
	}
}

// decision calls the program and returns its reply, encoded.
func (d *decider) decision(ctx context.Context, data []byte) ([]byte, error) {
	program := call.Program{Decider: d.cfg.Decider, Version: d.cfg.Version}
	return program.Reply(ctx, data, func(ctx context.Context, r visit.CheckInRequest) (decided visit.Decision, err error) {
		err = recovered(func() (err error) {
			decided, err = d.decide(ctx, r)
			return err
		})
		return decided, err
	})
}

func (d *decider) send(ctx context.Context, q request, reply []byte) {
	subjects := []string{q.reply}
	if q.key != nil {
		deadline, _ := ctx.Deadline()
		subjects = append(subjects, d.recent.decided(*q.key, reply, deadline)...)
	}
	sent := true
	for _, subject := range subjects {
		sent = d.reply(q.subject, &nats.Msg{Subject: subject, Data: reply}) && sent
	}
	if sent {
		d.decided.Add(1)
	} else {
		d.failed.Add(1)
	}
}

// reply reports whether the message was sent.
func (d *decider) reply(to string, m *nats.Msg) bool {
	d.replied.Store(&m.Subject)
	if err := d.nc.PublishMsg(m); err != nil {
		d.cfg.OnError(fmt.Errorf("reply to %s: %w", to, err))
		return false
	}
	return true
}

// undecided forgets a request, and returns the reply subjects of its further attempts.
func (d *decider) undecided(q request) []string {
	if q.key == nil {
		return nil
	}
	return d.recent.forget(*q.key)
}

// refuse sends an error reply, and reports why.
func (d *decider) refuse(q request, code, description string, why error) {
	for _, subject := range append([]string{q.reply}, d.undecided(q)...) {
		d.replied.Store(&subject)
		err := d.nc.PublishMsg(&nats.Msg{Subject: subject, Header: nats.Header{
			micro.ErrorCodeHeader: {code}, micro.ErrorHeader: {description},
		}})
		if err != nil {
			why = errors.Join(why, fmt.Errorf("reply: %w", err))
		}
	}
	d.cfg.OnError(fmt.Errorf("decide %s: %w", q.subject, why))
}

// over reports whether the deadline has passed. The context itself ends a moment later:
// after a stall the decision may be ready before the context's timer runs.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// expiry counts a request as expired at its deadline, and not when the program returns:
// one that hangs must be seen while it hangs. tooLate is called once the program has
// returned.
func (d *decider) expiry(ctx context.Context, q request) (tooLate func() bool) {
	var once sync.Once
	count := func() {
		once.Do(func() {
			deadline, _ := ctx.Deadline()
			d.took(deadline.Sub(q.arrived))
			d.expire(q)
		})
	}
	stop := context.AfterFunc(ctx, func() {
		if over(ctx) { // otherwise Decide ends
			count()
		}
	})
	return func() bool {
		stop()
		if !over(ctx) {
			return false
		}
		count()
		return true
	}
}

func (d *decider) expire(q request) {
	d.expired.Add(1)
	d.cfg.OnError(fmt.Errorf("decide %s: %w", q.subject, ErrExpired))
}

// returnedLate counts a decision after the deadline, and reports an error other than
// that of the context.
func (d *decider) returnedLate(ctx context.Context, q request, err error) {
	deadline, _ := ctx.Deadline()
	d.nanoseconds.Add(int64(time.Since(deadline)))
	switch {
	case err == nil:
		d.late.Add(1)
	case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
		d.cfg.OnError(fmt.Errorf("decide %s, after the deadline: %w", q.subject, err))
	}
}

// took counts the time of a request that the program was called for.
func (d *decider) took(t time.Duration) {
	d.timed.Add(1)
	d.nanoseconds.Add(int64(t))
}
