package broker

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/streams"
)

const (
	// replyLogPause is between two log lines about replies to one subject.
	replyLogPause = time.Minute
	// ackRemembered is for how long the status names a stream that acknowledged a
	// check-in request. The relay may not be permitted to look for such streams.
	ackRemembered = time.Minute
)

// replies counts and logs replies that do not count, or come too late or too often. A
// reply says nothing about who sent it; that there are two does. A client whose reply
// does not count is faster than the one that is meant to reply.
type replies struct {
	log     *slog.Logger
	metrics *replyMetrics
	// acknowledged is called about once a minute while a stream replies to check-in
	// requests.
	acknowledged func()

	// ofDeciders observes the replies to check-in requests, and ofStreams those to
	// messages for streams.
	ofDeciders, ofStreams *conn.Observer

	expected sync.Map // subjects whose metrics exist

	mu        sync.Mutex
	duplicate map[string]*occurrences // by the subject that was sent to
	ignored   map[string]*occurrences // likewise
	last      acknowledgedRequest
}

// acknowledgedRequest is that a stream replied to a check-in request.
type acknowledgedRequest struct {
	stream, subject string
	at              time.Time
}

func newReplies(log *slog.Logger, reg prometheus.Registerer) *replies {
	r := &replies{
		log: log, metrics: newReplyMetrics(reg), acknowledged: func() {},
		duplicate: make(map[string]*occurrences), ignored: make(map[string]*occurrences),
	}
	r.ofDeciders = &conn.Observer{Late: r.metrics.late.Inc, Duplicate: r.duplicateReply, Ignored: r.acknowledgement}
	r.ofStreams = &conn.Observer{Duplicate: r.duplicateAcknowledgement, Ignored: r.noAcknowledgement}
	return r
}

func (r *replies) onAcknowledgedRequest(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acknowledged = fn
}

// expect has the metrics of a request's subject exist before they are needed.
func (r *replies) expect(subject string) {
	if _, exists := r.expected.LoadOrStore(subject, true); exists {
		return
	}
	site, decider := askedOf(subject)
	r.metrics.duplicate.WithLabelValues(site, decider)
	for _, reason := range []string{againNoReply, againDisconnected} {
		r.metrics.repeated.WithLabelValues(site, decider, reason)
	}
}

// repeated counts a request that was sent again.
func (r *replies) repeated(subject, reason string) {
	site, decider := askedOf(subject)
	r.metrics.repeated.WithLabelValues(site, decider, reason).Inc()
}

func (r *replies) duplicateReply(subject string) {
	site, decider := askedOf(subject)
	r.metrics.duplicate.WithLabelValues(site, decider).Inc()
	if n := r.due(r.duplicate, subject); n > 0 {
		r.log.Warn("duplicate reply to a check-in request: another client replies for a decider, or two programs decide without a queue group",
			"site", site, "decider", decider, "count", n)
	}
}

func (r *replies) duplicateAcknowledgement(subject string) {
	r.metrics.duplicateAcks.Inc()
	if n := r.due(r.duplicate, subject); n > 0 {
		r.log.Warn("duplicate acknowledgement: a client other than a stream acknowledges, and messages reported as stored may not be",
			"subject", subject, "count", n)
	}
}

// The reasons for which a reply is ignored.
const (
	reasonAcknowledgement   = "acknowledgement"
	reasonNoAcknowledgement = "no_acknowledgement"
)

// isNoAcknowledgement accepts every reply but those of streams.
func isNoAcknowledgement(reply *nats.Msg) bool {
	_, is := streams.AcknowledgedBy(reply)
	return !is
}

// acknowledgement notes a stream's reply to a check-in request.
func (r *replies) acknowledgement(subject string, reply *nats.Msg) {
	r.metrics.ignored.WithLabelValues(reasonAcknowledgement).Inc()
	stream, _ := streams.AcknowledgedBy(reply)
	n := r.due(r.ignored, subject)
	r.mu.Lock()
	r.last = acknowledgedRequest{stream, subject, time.Now()}
	acknowledged := r.acknowledged
	r.mu.Unlock()
	if n > 0 {
		site, decider := askedOf(subject)
		r.log.Warn("ignored the acknowledgement of a check-in request by a stream: remove the subjects from the stream",
			"stream", stream, "site", site, "decider", decider, "count", n)
		acknowledged()
	}
}

// noAcknowledgement notes another reply to a message for a stream.
func (r *replies) noAcknowledgement(subject string, _ *nats.Msg) {
	r.metrics.ignored.WithLabelValues(reasonNoAcknowledgement).Inc()
	if n := r.due(r.ignored, subject); n > 0 {
		r.log.Warn("ignored a reply that is not the acknowledgement of a stream: a subscriber replies to the messages that it receives",
			"subject", subject, "count", n)
	}
}

// fault names the stream that acknowledges check-in requests, or is nil.
func (r *replies) fault() error {
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	if last.stream == "" || time.Since(last.at) > ackRemembered {
		return nil
	}
	return streams.AcknowledgesRequests(last.stream, last.subject)
}

// occurrences are those since the last log line.
type occurrences struct {
	at    time.Time
	count int
}

// due counts one more of subject, and returns how many there were since the log last
// said so, or 0 while it is not to say so again.
func (r *replies) due(logged map[string]*occurrences, subject string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := logged[subject]
	if o == nil {
		o = &occurrences{}
		logged[subject] = o
	}
	o.count++
	now := time.Now()
	if now.Sub(o.at) < replyLogPause {
		return 0
	}
	n := o.count
	o.at, o.count = now, 0
	return n
}

// askedOf returns the site and the decider of a request's subject, which are
// names of the configuration.
func askedOf(subject string) (site, decider string) {
	parts := strings.Split(subject, ".")
	if len(parts) < 2 {
		return "", ""
	}
	return parts[len(parts)-2], parts[len(parts)-1]
}

// replyMetrics are of replies; requests and events are counted by those who have them.
// Every combination of labels exists from the start.
type replyMetrics struct {
	late prometheus.Counter
	// duplicate and repeated are by the request's site and decider.
	duplicate     *prometheus.CounterVec
	duplicateAcks prometheus.Counter
	repeated      *prometheus.CounterVec
	ignored       *prometheus.CounterVec
}

func newReplyMetrics(reg prometheus.Registerer) *replyMetrics {
	f := promauto.With(reg)
	m := &replyMetrics{
		late: f.NewCounter(prometheus.CounterOpts{
			Name: "sine_relay_decider_late_replies_total",
			Help: "Replies of deciders after the deadline.",
		}),
		duplicate: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_decider_duplicate_replies_total",
			Help: "Further replies to a check-in request: another client replies for a decider, or two programs decide without a queue group.",
		}, []string{"site", "decider"}),
		duplicateAcks: f.NewCounter(prometheus.CounterOpts{
			Name: "sine_relay_duplicate_acknowledgements_total",
			Help: "Further acknowledgements of a message: a client other than a stream acknowledges.",
		}),
		repeated: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_decider_request_retries_total",
			Help: "Check-in requests that were sent to a decider again: no reply within half of the time (no_reply), or the connection to NATS was lost (disconnected).",
		}, []string{"site", "decider", "reason"}),
		ignored: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_ignored_replies_total",
			Help: "Invalid replies that were ignored: a stream's acknowledgement of a check-in request (acknowledgement), and a reply to an event, record or quarantined message that is not an acknowledgement (no_acknowledgement).",
		}, []string{"reason"}),
	}
	m.ignored.WithLabelValues(reasonAcknowledgement)
	m.ignored.WithLabelValues(reasonNoAcknowledgement)
	return m
}
