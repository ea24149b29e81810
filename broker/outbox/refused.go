package outbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// What becomes of a message in the spool that its stream does not take.

const (
	// maxRefusals is how often a stream may refuse a message for its own sake before
	// the message is quarantined.
	maxRefusals = 5
	// postponement is how long an ordering key is left alone whose message is not
	// taken; each time twice as long, up to longestPostponement.
	postponement        = 5 * time.Second
	longestPostponement = time.Minute
	// resumeEvery is how many of them have their turn again at once: those of so
	// long.
	resumeEvery = 250 * time.Millisecond
)

// postponed is how long and until when an ordering key is left alone.
type postponed struct {
	pause  time.Duration
	until  time.Time
	parked bool
}

// postpone leaves an ordering key alone for a while: the others go on.
func (f *forwarder) postpone(order string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pause := min(max(postponement, 2*f.later[order].pause), longestPostponement)
	until := time.Now().Add(pause)
	f.later[order] = postponed{pause, until, true}
	if f.next.IsZero() || until.Before(f.next) {
		f.next = until
	}
	f.spooler.spool.Park(f.root, order)
}

// resume lets those have their turn again who were left alone for long enough.
func (f *forwarder) resume(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next.IsZero() || now.Before(f.next) {
		return
	}
	// Not one by one, which would be to look at all of them for each.
	soon, due := now.Add(resumeEvery), []string{}
	f.next = time.Time{}
	for order, p := range f.later {
		switch {
		case !p.parked:
		case p.until.Before(soon):
			p.parked = false
			f.later[order] = p
			due = append(due, order)
		case f.next.IsZero() || p.until.Before(f.next):
			f.next = p.until
		}
	}
	f.spooler.spool.Unpark(f.root, due...)
}

// retry forgets that an order was postponed.
func (f *forwarder) retry(order string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.later, order)
}

func (f *forwarder) retryAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spooler.spool.Unpark(f.root, slices.Collect(maps.Keys(f.later))...)
	clear(f.later)
	f.next = time.Time{}
}

// passes reports whether an error is of the moment and not of the message.
func passes(err error) bool {
	for _, e := range []error{
		visit.ErrDisconnected, visit.ErrTimeout, visit.ErrStreamMissing, visit.ErrStreamFull, visit.ErrDenied,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// moveAside counts a refusal of a message for its own sake, and after some puts
// the message into the quarantine. It reports whether the message is gone from
// its place.
func (f *forwarder) moveAside(ctx context.Context, item spool.Item, refusal error) bool {
	attempts, err := f.spooler.spool.Failed(ctx, item.Sequence)
	if err != nil {
		f.spooler.log.Error("cannot count a refusal in the spool", "err", err.Error())
	}
	if attempts < maxRefusals {
		return false
	}
	if err := f.quarantine(ctx, item.Message); err != nil {
		f.spooler.log.Error("a refused message remains in the spool", "id", item.Message.ID, "err", err.Error())
		f.postpone(item.Order)
		return false
	}
	f.retry(item.Order)
	f.spooler.log.Error("spooled message moved to the quarantine", "id", item.Message.ID, "reason", refusal.Error())
	return true
}

// quarantine stores a refused message in the quarantine, or where that takes
// nothing now, among those that wait for it: what comes behind the message in its
// order has waited long enough.
func (f *forwarder) quarantine(ctx context.Context, m visit.Message) error {
	refused := f.spooler.quarantined(m)
	_, err := f.publisher.Publish(ctx, refused, time.Now().Add(forwardTimeout), func(_ visit.Root, failure error) bool { return passes(failure) })
	if err == nil || m.Root == visit.RootQuarantine {
		return err
	}
	if fault := f.spooler.put(ctx, refused); fault != nil {
		return errors.Join(err, fault)
	}
	return nil
}

// quarantined is a refused message as the quarantine keeps it.
func (s *spooler) quarantined(m visit.Message) visit.Message {
	first := func(header string) string { return strings.Join(m.Header[header], "") }
	site := strings.Split(strings.TrimPrefix(m.Subject, strings.TrimSuffix(s.subjects.All(m.Root), ">")), ".")[0]
	q := visit.Quarantined{
		RequestID: first(visit.HeaderRequestID), Trace: visit.TraceFromHeaders(m.Header), Site: site, Integration: first(visit.HeaderIntegration),
		Reason: visit.ReasonRefused, Received: time.Now().UTC(), EventID: m.ID, RefusedSubject: m.Subject, Body: m.Data,
	}
	return q.Message(s.subjects)
}
