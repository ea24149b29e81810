package broker

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// replyLogPause is between two log lines about replies to one subject.
const replyLogPause = time.Minute

// occurrences are those since the last log line.
type occurrences struct {
	at    time.Time
	count int
}

// dueIn counts one more of subject, and returns how many there were since the log
// last said so, or 0 while it is not to say so again.
func dueIn(logged map[string]*occurrences, subject string, now time.Time) int {
	o := logged[subject]
	if o == nil {
		o = &occurrences{}
		logged[subject] = o
	}
	o.count++
	if now.Sub(o.at) < replyLogPause {
		return 0
	}
	n := o.count
	o.at, o.count = now, 0
	return n
}

// secondReplies counts and logs second replies. A reply says nothing about
// who sent it; that there are two does.
type secondReplies struct {
	log     *slog.Logger
	metrics *metrics

	expected sync.Map // subjects whose metric exists

	mu     sync.Mutex
	logged map[string]*occurrences // by the subject that was sent to
}

func newSecondReplies(log *slog.Logger, m *metrics) *secondReplies {
	return &secondReplies{log: log, metrics: m, logged: make(map[string]*occurrences)}
}

// expect has the metric of a question's subject exist before it is needed.
func (s *secondReplies) expect(subject string) {
	if _, exists := s.expected.LoadOrStore(subject, true); !exists {
		site, decider := askedOf(subject)
		s.metrics.secondReplies.WithLabelValues(site, decider)
		for _, reason := range []string{againNoReply, againDisconnected} {
			s.metrics.repeated.WithLabelValues(site, decider, reason)
		}
	}
}

func (s *secondReplies) repeated(subject, reason string) {
	site, decider := askedOf(subject)
	s.metrics.repeated.WithLabelValues(site, decider, reason).Inc()
}

func (s *secondReplies) secondReply(subject string) {
	site, decider := askedOf(subject)
	s.metrics.secondReplies.WithLabelValues(site, decider).Inc()
	if n := s.due(subject, time.Now()); n > 0 {
		s.log.Warn("duplicate reply to a check-in request: another client replies for a decider, or two programs decide without a queue group",
			"site", site, "decider", decider, "count", n)
	}
}

func (s *secondReplies) secondAcknowledgement(subject string) {
	s.metrics.secondAcks.Inc()
	if n := s.due(subject, time.Now()); n > 0 {
		s.log.Warn("duplicate acknowledgement: a client other than a stream acknowledges, and messages reported as stored may not be",
			"subject", subject, "count", n)
	}
}

func (s *secondReplies) due(subject string, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return dueIn(s.logged, subject, now)
}

// askedOf returns the site and the decider of a question's subject, which are
// names of the configuration.
func askedOf(subject string) (site, decider string) {
	parts := strings.Split(subject, ".")
	if len(parts) < 2 {
		return "", ""
	}
	return parts[len(parts)-2], parts[len(parts)-1]
}
