package subscriber

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

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
