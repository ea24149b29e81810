package discovery

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// statusEvery is how old a status may be that is sent: a flood of requests
	// must not cost more than its answers.
	statusEvery = 50 * time.Millisecond
	// maxStatusAnswers are sent in a second, and no more bytes than maxAnswered; more
	// requests stay unanswered.
	maxStatusAnswers = 100
	maxAnswered      = 8 << 20
	// maxStatusRequests and maxStatusBytes may wait; more are dropped.
	maxStatusRequests, maxStatusBytes = 64, 64 << 10
	// maxLogged bounds the log: errors may carry a subject that is another one each
	// time.
	maxLogged = 20
)

// Announcement is what a relay says of itself.
type Announcement struct {
	Version string
	// Status is called when it is asked for.
	Status func() visit.RelayStatus
	// Reserved are prefixes of subjects to which nothing is replied.
	Reserved []string
}

// Service replies to NATS discovery as the micro service [visit.RelayService], on a
// connection of its own, so that no check-in request waits behind it. The protocol is
// nats.go's; its own service takes as many requests as come, and replies to any
// subject.
type Service struct {
	says     Announcement
	log      *slog.Logger
	nc       *nats.Conn
	id       string
	started  time.Time
	reserved []string // what no reply subject may begin with

	mu       sync.Mutex
	second   time.Time // in which so many replies were sent
	answered int
	bytes    int // of those
	stats    []byte
	made     time.Time
	logged   map[string]bool
}

// Announce makes a relay visible in NATS discovery until the service is closed. It
// fails only for what can never work.
func Announce(cfg dial.Config, a Announcement, log *slog.Logger) (*Service, error) {
	s := &Service{
		says: a, log: log.With("connection", "status"), id: visit.NewRequestID(), started: time.Now().UTC(),
		// Its own replies must not become orders, events, records or replies to
		// its requests: NATS permits a reply to go wherever it is asked for.
		reserved: append([]string{"$", cfg.InboxPrefix + "."}, a.Reserved...),
		logged:   map[string]bool{},
	}
	nc, err := dial.Connect(cfg, nats.Name("sine-relay status"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.logOnce(err) }))
	if err != nil {
		return nil, err
	}
	s.nc = nc
	for _, subject := range []string{"$SRV.*", "$SRV.*." + visit.RelayService, "$SRV.*." + visit.RelayService + ".*"} {
		sub, err := nc.Subscribe(subject, s.answer)
		if err == nil {
			err = sub.SetPendingLimits(maxStatusRequests, maxStatusBytes)
		}
		if err != nil {
			nc.Close()
			return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
	}
	return s, nil
}

// Close disconnects.
func (s *Service) Close() { s.nc.Close() }

// logOnce logs each error once. Where answers are not permitted, each is refused under
// a subject of its own.
func (s *Service) logOnce(err error) {
	text := err.Error()
	if dial.PublishDenied(err) {
		text = "NATS refuses the relay's answers to discovery: give the relay's user allow_responses"
	}
	s.mu.Lock()
	again := s.logged[text] || len(s.logged) >= maxLogged
	s.logged[text] = true
	s.mu.Unlock()
	if !again {
		s.log.Warn("NATS error", "err", text)
	}
}

// answer answers one request of NATS discovery.
func (s *Service) answer(m *nats.Msg) {
	parts := strings.Split(m.Subject, ".")
	if len(parts) == 4 && parts[3] != s.id || !s.mayAnswer(m.Reply) {
		return
	}
	var data []byte
	switch parts[1] {
	case micro.PingVerb.String():
		data = encoded(micro.Ping{ServiceIdentity: s.identity(), Type: micro.PingResponseType})
	case micro.InfoVerb.String():
		data = encoded(micro.Info{
			ServiceIdentity: s.identity(), Type: micro.InfoResponseType, Description: "answers Sine's visitor webhook",
			Endpoints: []micro.EndpointInfo{{Name: statusEndpoint, Subject: s.subject()}},
		})
	case micro.StatsVerb.String():
		data = s.statistics()
	}
	if data == nil || !s.mayAnswerWith(len(data)) {
		return
	}
	if err := s.nc.Publish(m.Reply, data); err != nil {
		s.logOnce(err)
	}
}

const statusEndpoint = "status"

// statusBytes leaves room in a reply for what is around the status.
const statusBytes = maxReplyBytes - 8<<10

// Fitting are the first of the integrations that fit into a reply with the status, as
// others read it.
func Fitting(status visit.RelayStatus, all []visit.RelayIntegration) []visit.RelayIntegration {
	left := statusBytes - len(encoded(status))
	for i, one := range all[:min(len(all), visit.MaxRelaySites)] {
		if left -= len(encoded(one)) + 1; left < 0 {
			return all[:i]
		}
	}
	return all[:min(len(all), visit.MaxRelaySites)]
}

// subject is where this process answers alone.
func (s *Service) subject() string {
	return "$SRV." + micro.StatsVerb.String() + "." + visit.RelayService + "." + s.id
}

func (s *Service) identity() micro.ServiceIdentity {
	return micro.ServiceIdentity{Name: visit.RelayService, ID: s.id, Version: semantic(s.says.Version), Metadata: map[string]string{}}
}

var (
	semanticVersion = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`)
	noIdentifier    = regexp.MustCompile(`[^0-9A-Za-z]+`)
)

// semantic is the version as NATS discovery takes it. The nats command validates
// what it shows: a version such as "dev" would hide the relay.
func semantic(version string) string {
	if semanticVersion.MatchString(version) {
		return version
	}
	return "0.0.0-" + cmp.Or(strings.Trim(noIdentifier.ReplaceAllString(version, "-"), "-"), "unknown")
}

// mayAnswer bounds how much is answered, and where.
func (s *Service) mayAnswer(reply string) bool {
	if reply == "" {
		return false
	}
	for _, prefix := range s.reserved {
		if strings.HasPrefix(reply, prefix) {
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.second) >= time.Second {
		s.second, s.answered, s.bytes = now, 0, 0
	}
	s.answered++
	return s.answered <= maxStatusAnswers
}

func (s *Service) mayAnswerWith(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += bytes
	return s.bytes <= maxAnswered
}

// statistics are made anew when they are too old.
func (s *Service) statistics() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.made) >= statusEvery {
		s.made = time.Now()
		s.stats = encoded(micro.Stats{
			ServiceIdentity: s.identity(), Type: micro.StatsResponseType, Started: s.started,
			Endpoints: []*micro.EndpointStats{{Name: statusEndpoint, Subject: s.subject(), Data: encoded(s.says.Status())}},
		})
	}
	return s.stats
}

// encoded is the JSON of what always has one.
func encoded(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return data
}
