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

// maxRecentRequests is the maximum number of requests that are remembered. Further ones
// are decided twice when they are sent again.
const maxRecentRequests = 4096

// recentRequests are the requests that this program is deciding, and those that it has
// decided, until their deadline. A relay sends a request again when it got no reply:
// then the program is not called a second time, and both attempts get the decision.
type recentRequests struct {
	mu   sync.Mutex
	seed maphash.Seed
	all  map[requestKey]*recentRequest
}

// requestKey is the same for every attempt of a request.
type requestKey struct {
	subject, requestID string
	data               uint64
}

type recentRequest struct {
	reply   []byte   // once it is decided
	waiting []string // reply subjects of further attempts
}

func newRecentRequests() *recentRequests {
	return &recentRequests{seed: maphash.MakeSeed(), all: make(map[requestKey]*recentRequest)}
}

func (r *recentRequests) key(req micro.Request) requestKey {
	return requestKey{req.Subject(), req.Headers().Get(visit.HeaderRequestID), maphash.Bytes(r.seed, req.Data())}
}

// isRetry reports whether the request was sent before, by its header. Others are decided
// each time, whatever they have in common: not every client sets request ids.
func isRetry(h micro.Headers) bool {
	n, err := strconv.Atoi(h.Get(visit.HeaderAttempt))
	return err == nil && n > 1
}

// join reports whether the request is known. It returns the reply if it is decided;
// otherwise the subject gets the reply later.
func (r *recentRequests) join(key requestKey, subject string) (reply []byte, known bool) {
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

// begin remembers a request. It reports false when it cannot be remembered.
func (r *recentRequests) begin(key requestKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key.requestID == "" || r.all[key] != nil || len(r.all) >= maxRecentRequests {
		return false
	}
	r.all[key] = &recentRequest{}
	return true
}

// decided keeps the reply until the deadline, and returns the other subjects that wait
// for it.
func (r *recentRequests) decided(key requestKey, reply []byte, until time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.all[key]
	waiting := one.waiting
	one.reply, one.waiting = reply, nil
	time.AfterFunc(min(time.Until(until), defaultTimeout), func() { r.forget(key) })
	return waiting
}

// forget returns the other subjects that wait for a reply.
func (r *recentRequests) forget(key requestKey) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.all[key]
	delete(r.all, key)
	return one.waiting
}

// knownRequest replies to a request that this program already knows, and reports
// whether it does.
func (d *decider) knownRequest(req micro.Request, key requestKey) bool {
	if !isRetry(req.Headers()) {
		return false
	}
	reply, known := d.recent.join(key, req.Reply())
	if reply != nil {
		d.reply(req.Subject(), &nats.Msg{Subject: req.Reply(), Data: reply})
	}
	return known
}
