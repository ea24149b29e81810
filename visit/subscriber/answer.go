package subscriber

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
)

// Errors that are reported to [DeciderConfig].OnError.
var (
	// ErrOverloaded: more questions came at once than the configuration
	// allows.
	ErrOverloaded = errors.New("more questions at once than configured")
	// ErrExpired: the question's time was over before it was answered.
	ErrExpired = errors.New("the question's time was over")
	// ErrInvalidCheckInRequest: the question cannot be read.
	ErrInvalidCheckInRequest = errors.New("the message is not a check-in request")
)

// Error replies, as NATS micro services have them. Their texts are fixed: an
// error's own might say who stands at the door.
const (
	codeOverloaded = "503"
	codeFailed     = "500"
	codeUnreadable = "400"
)

const (
	// timeUnsaid is for a question that does not say how long it has, and
	// timeLimit for one that claims more.
	timeUnsaid = 10 * time.Second
	timeLimit  = 10 * time.Minute
)

// receive is called serially by the client: a decider that takes 200 ms would
// answer five questions in a second. So it only starts the answering.
//
// Replies are published here and not through req, whose bookkeeping is not made
// for another goroutine.
func (d *decider) receive(req micro.Request) {
	now := time.Now()
	defer d.heldUp(now) // OnError is the program's, and may take its time
	question := question{subject: req.Subject(), reply: req.Reply(), data: req.Data(), arrived: d.arrived(now)}
	deadline := question.arrived.Add(timeLeft(req.Headers()))
	if !now.Before(deadline) {
		d.expire(question)
		return
	}
	key := d.repeats.key(req)
	if d.repeated(req, key) {
		return
	}
	select {
	case d.slots <- struct{}{}:
	default:
		d.overloaded.Add(1)
		d.refuse(question, codeOverloaded, "overloaded", ErrOverloaded)
		return
	}
	if d.repeats.begin(key) {
		question.key = &key
	}
	ctx, cancel := context.WithDeadline(d.working, deadline)
	d.running.Go(func() {
		defer func() { cancel(); <-d.slots }()
		d.answer(ctx, question)
	})
}

type question struct {
	subject, reply string
	data           []byte
	arrived        time.Time
	// key is set where further attempts of the question are known by it.
	key *repeatKey
}

// timeLeft is what the question says remained when it was sent.
func timeLeft(h micro.Headers) time.Duration {
	ms, err := strconv.ParseInt(h.Get(visit.HeaderTimeout), 10, 64)
	if err != nil {
		return timeUnsaid
	}
	return time.Duration(min(max(ms, 0), timeLimit.Milliseconds())) * time.Millisecond
}

func (d *decider) answer(ctx context.Context, q question) {
	if over(ctx) {
		d.undecided(q)
		d.expire(q) // the visitor has gone: do not even begin
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
		d.refuse(q, codeUnreadable, "not a check-in request", err)
	case err != nil:
		d.failed.Add(1)
		d.took(time.Since(q.arrived))
		d.refuse(q, codeFailed, "the decider failed", err)
	default:
		d.took(time.Since(q.arrived))
		d.send(ctx, q, reply)
	}
}

// decision asks the program and returns its reply, encoded.
func (d *decider) decision(ctx context.Context, data []byte) ([]byte, error) {
	var asked visit.CheckInRequest
	if err := json.Unmarshal(data, &asked); err != nil {
		return nil, ErrInvalidCheckInRequest // the decoder's error may quote the message
	}
	var decided visit.Decision
	err := recovered(func() (err error) {
		decided, err = d.decide(ctx, asked)
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
	return encode(decided)
}

// encode returns the reply as the relay will read it. An acceptance that the relay
// would not take is an error. A rejection never is: what cannot be sent of it is
// left out.
func encode(d visit.Decision) ([]byte, error) {
	if d.Verdict == visit.Reject {
		d.Pass = nil // which is for visitors who are accepted
	}
	reply, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode the decision: %w", err)
	}
	read, err := visit.ParseDecision(reply)
	if err != nil || read.Verdict == visit.Accept {
		return reply, err
	}
	return json.Marshal(read) // without texts that are too long for a message
}

func (d *decider) send(ctx context.Context, q question, reply []byte) {
	subjects := []string{q.reply}
	if q.key != nil {
		deadline, _ := ctx.Deadline()
		subjects = append(subjects, d.repeats.decided(*q.key, reply, deadline)...)
	}
	sent := true
	for _, subject := range subjects {
		sent = d.reply(q.subject, &nats.Msg{Subject: subject, Data: reply}) && sent
	}
	if sent {
		d.answered.Add(1)
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

// undecided forgets a question, and returns the subjects of its further attempts.
func (d *decider) undecided(q question) []string {
	if q.key == nil {
		return nil
	}
	return d.repeats.forget(*q.key)
}

// refuse sends an error reply, and reports why.
func (d *decider) refuse(q question, code, description string, why error) {
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

// over reports whether a question's time has ended. Its context says so a moment
// later: after a stall the answer may be ready before the context's timer runs.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// expiry counts a question as expired when its time ends, and not when the program
// returns: one that hangs must be seen while it hangs. tooLate is called once the
// program has returned.
func (d *decider) expiry(ctx context.Context, q question) (tooLate func() bool) {
	var once sync.Once
	count := func() {
		once.Do(func() {
			deadline, _ := ctx.Deadline()
			d.took(deadline.Sub(q.arrived))
			d.expire(q)
		})
	}
	stop := context.AfterFunc(ctx, func() {
		if over(ctx) { // else Decide ends
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

func (d *decider) expire(q question) {
	d.expired.Add(1)
	d.cfg.OnError(fmt.Errorf("decide %s: %w", q.subject, ErrExpired))
}

// returnedLate counts what came of an expired question after all. That the program
// heeded its context is no news.
func (d *decider) returnedLate(ctx context.Context, q question, err error) {
	deadline, _ := ctx.Deadline()
	d.nanoseconds.Add(int64(time.Since(deadline)))
	switch {
	case err == nil:
		d.late.Add(1)
	case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
		d.cfg.OnError(fmt.Errorf("decide %s, after its time: %w", q.subject, err))
	}
}

// took counts the time of a question that the program was asked.
func (d *decider) took(t time.Duration) {
	d.asked.Add(1)
	d.nanoseconds.Add(int64(t))
}
