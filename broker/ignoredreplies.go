package broker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// ignoredReplies counts and logs replies that are no answer: a stream's
// acknowledgement of a check-in request, and what is no acknowledgement of an event.
// Whoever sends them is faster than who is meant to answer.
type ignoredReplies struct {
	log     *slog.Logger
	metrics *metrics
	found   func() // called about once a minute while a stream replies

	mu     sync.Mutex
	logged map[string]*occurrences // by the subject that was sent to
	last   acknowledgedRequest
}

// acknowledgedRequest is that a stream replied to a check-in request.
type acknowledgedRequest struct {
	stream, subject string
	at              time.Time
}

func newIgnoredReplies(log *slog.Logger, m *metrics) *ignoredReplies {
	return &ignoredReplies{log: log, metrics: m, found: func() {}, logged: make(map[string]*occurrences)}
}

// The reasons for which a reply is ignored.
const (
	reasonAcknowledgement   = "acknowledgement"
	reasonNoAcknowledgement = "no_acknowledgement"
)

// acknowledgement takes note of a stream's reply to a check-in request.
func (i *ignoredReplies) acknowledgement(subject string, reply *nats.Msg) {
	i.metrics.ignoredReplies.WithLabelValues(reasonAcknowledgement).Inc()
	stream, _ := acknowledgedBy(reply)
	now := time.Now()
	i.mu.Lock()
	i.last = acknowledgedRequest{stream, subject, now}
	n := dueIn(i.logged, subject, now)
	i.mu.Unlock()
	if n > 0 {
		site, decider := askedOf(subject)
		i.log.Warn("ignored the acknowledgement of a check-in request by a stream: remove the subjects from the stream",
			"stream", stream, "site", site, "decider", decider, "count", n)
		i.found()
	}
}

// noAcknowledgement takes note of somebody's reply to a message for a stream.
func (i *ignoredReplies) noAcknowledgement(subject string, _ *nats.Msg) {
	i.metrics.ignoredReplies.WithLabelValues(reasonNoAcknowledgement).Inc()
	i.mu.Lock()
	n := dueIn(i.logged, subject, time.Now())
	i.mu.Unlock()
	if n > 0 {
		i.log.Warn("ignored a reply that is not the acknowledgement of a stream: a subscriber replies to the messages that it receives",
			"subject", subject, "count", n)
	}
}

// ackRemembered is for how long the status names a stream that acknowledged a
// check-in request. The relay may not be permitted to look for such streams.
const ackRemembered = time.Minute

// fault names the stream that acknowledges check-in requests, or is nil.
func (i *ignoredReplies) fault() error {
	i.mu.Lock()
	last := i.last
	i.mu.Unlock()
	if last.stream == "" || time.Since(last.at) > ackRemembered {
		return nil
	}
	return acknowledgesRequests(last.stream, last.subject)
}

func acknowledgesRequests(stream, subject string) error {
	return fmt.Errorf("stream %s acknowledges check-in requests on %s: its acknowledgements are ignored, but it keeps personal data, and that nobody decides is not known at once: nats stream edit %s --subjects <without them>", stream, subject, stream)
}

// longestAck is more than any acknowledgement has.
const longestAck = 4096

// isNoAcknowledgement accepts every reply but those of streams.
func isNoAcknowledgement(reply *nats.Msg) bool {
	_, is := acknowledgedBy(reply)
	return !is
}

// acknowledgedBy reports whether a reply is a stream's acknowledgement, or its error,
// and returns the stream's name. A reply with a decision is none.
func acknowledgedBy(reply *nats.Msg) (stream string, is bool) {
	var r struct {
		Decision json.RawMessage `json:"decision"`
		Stream   string          `json:"stream"`
		Sequence *uint64         `json:"seq"`
		Error    *struct {
			Code      int `json:"code"`
			ErrorCode int `json:"err_code"`
		} `json:"error"`
	}
	if len(reply.Data) > longestAck || json.Unmarshal(reply.Data, &r) != nil || r.Decision != nil {
		return "", false
	}
	stores := r.Stream != "" && r.Sequence != nil
	refuses := r.Error != nil && r.Error.Code > 0 && r.Error.ErrorCode > 0
	if !stores && !refuses {
		return "", false
	}
	if !plainStream.MatchString(r.Stream) {
		return "(unnamed)", true // whatever it says may be anything
	}
	return r.Stream, true
}

// plainStream are the names of streams that are shown.
var plainStream = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
