package subscriber

import (
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
)

// maxRepeats bounds how many questions are known to have been asked. One beyond that
// is decided twice if it comes again.
const maxRepeats = 4096

// repeats knows the questions that this program is deciding, and those that it
// decided, until their time is over. A relay asks again when it got no reply: then
// the program is not asked a second time, and both attempts get the one decision.
type repeats struct {
	mu   sync.Mutex
	seed maphash.Seed
	all  map[repeatKey]*repeat
}

// repeatKey is a question, whatever attempt it is.
type repeatKey struct {
	subject, requestID string
	data               uint64
}

type repeat struct {
	reply   []byte   // once it was decided
	waiting []string // reply subjects of further attempts
}

func newRepeats() *repeats {
	return &repeats{seed: maphash.MakeSeed(), all: make(map[repeatKey]*repeat)}
}

func (r *repeats) key(req micro.Request) repeatKey {
	return repeatKey{req.Subject(), req.Headers().Get(visit.HeaderRequestID), maphash.Bytes(r.seed, req.Data())}
}

// isRepeat reports whether a question says that it was sent before. Others are
// decided each time, whatever they have in common: not every program that asks makes
// request ids.
func isRepeat(h micro.Headers) bool {
	n, err := strconv.Atoi(h.Get(visit.HeaderAttempt))
	return err == nil && n > 1
}

// join reports whether the question is known. Its reply is returned where it was
// decided; otherwise the subject gets it when it is.
func (r *repeats) join(key repeatKey, subject string) (reply []byte, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.all[key]
	if one == nil {
		return nil, false
	}
	if one.reply == nil {
		one.waiting = append(one.waiting, subject)
	}
	return one.reply, true
}

// begin takes note of a question that the program is asked. It reports false when
// that is not to be remembered.
func (r *repeats) begin(key repeatKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key.requestID == "" || r.all[key] != nil || len(r.all) >= maxRepeats {
		return false
	}
	r.all[key] = &repeat{}
	return true
}

// decided keeps the reply until the question's time is over, and returns the other
// subjects that wait for it.
func (r *repeats) decided(key repeatKey, reply []byte, until time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.all[key]
	waiting := one.waiting
	one.reply, one.waiting = reply, nil
	time.AfterFunc(min(time.Until(until), timeUnsaid), func() { r.forget(key) })
	return waiting
}

// forget returns the other subjects that wait for a reply.
func (r *repeats) forget(key repeatKey) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.all[key]
	delete(r.all, key)
	return one.waiting
}

// repeated answers a question that this program has been asked before, and reports
// whether that is so.
func (d *decider) repeated(req micro.Request, key repeatKey) bool {
	if !isRepeat(req.Headers()) {
		return false
	}
	reply, known := d.repeats.join(key, req.Reply())
	if reply != nil {
		d.reply(req.Subject(), &nats.Msg{Subject: req.Reply(), Data: reply})
	}
	return known
}
