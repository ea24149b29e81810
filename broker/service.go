package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/internal/natsperm"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// statusEvery is how old a status may be that is sent: a flood of requests
	// must not cost more than its answers.
	statusEvery = 50 * time.Millisecond
	// maxStatusAnswers are sent in a second; more requests stay unanswered.
	maxStatusAnswers = 100
	// maxStatusRequests and maxStatusBytes may wait; more are dropped.
	maxStatusRequests, maxStatusBytes = 64, 64 << 10
)

// Announcement is what a relay says of itself beside what the broker knows.
type Announcement struct {
	Version string
	// State is the relay's readiness in a word, and Sites those of its
	// integrations. They are asked when somebody asks.
	State func() string
	Sites func() []string
}

// service answers NATS discovery as the micro service [visit.RelayService], on a
// connection of its own, so that nobody's questions wait behind it. The protocol is
// nats.go's; its own service takes as many requests as come, and answers to any
// subject.
type service struct {
	says     Announcement
	log      *slog.Logger
	broker   *Broker
	nc       *nats.Conn
	id       string
	started  time.Time
	reserved []string // what no reply subject may begin with

	mu       sync.Mutex
	second   time.Time // in which so many were answered
	answered int
	stats    []byte
	made     time.Time
	told     map[string]bool
}

// Announce makes the relay visible in NATS discovery until [Broker.Close]. Like
// [Connect] it fails only for what can never work.
func (b *Broker) Announce(a Announcement) error {
	options, err := b.cfg.options()
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	s := &service{
		says: a, log: b.log.With("connection", "status"), broker: b, id: visit.NewRequestID(), started: time.Now().UTC(),
		// Its own answers must not become orders, events, records or answers to
		// its questions: NATS permits an answer to go wherever it is asked for.
		reserved: []string{"$", b.cfg.InboxPrefix + ".", strings.TrimSuffix(b.cfg.Subjects.All(visit.RootEvent), "event.>")},
		told:     map[string]bool{},
	}
	nc, err := nats.Connect(b.cfg.urls(), append(options, nats.Name("sine-relay status"), nats.CustomInboxPrefix(b.cfg.InboxPrefix),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.tell(err) }))...)
	if err != nil {
		return fmt.Errorf("broker: connect: %w", err)
	}
	s.nc = nc
	b.service.Store(s)
	for _, subject := range []string{"$SRV.*", "$SRV.*." + visit.RelayService, "$SRV.*." + visit.RelayService + ".*"} {
		sub, err := nc.Subscribe(subject, s.answer)
		if err == nil {
			err = sub.SetPendingLimits(maxStatusRequests, maxStatusBytes)
		}
		if err != nil {
			return fmt.Errorf("broker: subscribe to %s: %w", subject, err)
		}
	}
	return nil
}

// tell logs each error once. Where answers are not permitted, each is refused under
// a subject of its own.
func (s *service) tell(err error) {
	text := err.Error()
	if v, ok := natsperm.Parse(err); ok && v.Operation == natsperm.Publish {
		text = "NATS refuses the relay's answers to discovery: give the relay's user allow_responses"
	}
	s.mu.Lock()
	again := s.told[text] || len(s.told) >= maxTold
	s.told[text] = true
	s.mu.Unlock()
	if !again {
		s.log.Warn("NATS error", "err", text)
	}
}

// answer answers one request of NATS discovery.
func (s *service) answer(m *nats.Msg) {
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
	if data == nil {
		return
	}
	if err := s.nc.Publish(m.Reply, data); err != nil {
		s.tell(err)
	}
}

const statusEndpoint = "status"

// subject is where this process answers alone.
func (s *service) subject() string {
	return "$SRV." + micro.StatsVerb.String() + "." + visit.RelayService + "." + s.id
}

func (s *service) identity() micro.ServiceIdentity {
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
func (s *service) mayAnswer(reply string) bool {
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
		s.second, s.answered = now, 0
	}
	s.answered++
	return s.answered <= maxStatusAnswers
}

// statistics are made anew when they are too old.
func (s *service) statistics() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.made) >= statusEvery {
		s.made = time.Now()
		s.stats = encoded(micro.Stats{
			ServiceIdentity: s.identity(), Type: micro.StatsResponseType, Started: s.started,
			Endpoints: []*micro.EndpointStats{{Name: statusEndpoint, Subject: s.subject(), Data: encoded(s.broker.relayStatus(s.says))}},
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

// relayStatus is what this relay says of itself.
func (b *Broker) relayStatus(a Announcement) visit.RelayStatus {
	sites := a.Sites()
	r := visit.RelayStatus{State: a.State(), SiteCount: len(sites), Sites: sites[:min(len(sites), visit.MaxRelaySites)]}
	if b.buffer != nil {
		r.Spooled, _ = b.buffer.spool.Usage()
	}
	st := b.orders.Status()
	r.OrdersKnown, r.OrdersReadAt, r.OrdersRevision = st.Known, st.AsOf.UTC(), st.Revision
	r.Orders = obeyed(b.orders, st)
	return r
}

// obeyed are the orders in force that are obeyed: an override only while the orders
// are known.
func obeyed(w *orders.Watcher, st orders.Status) []visit.RelayOrder {
	lost := map[string]bool{}
	for _, o := range st.Lost {
		lost[o.Identity()] = true
	}
	named := []visit.RelayOrder{}
	for _, o := range inForce(w) {
		if len(named) < visit.MaxRelaySites {
			named = append(named, visit.RelayOrder{Kind: o.Kind, Site: o.Site, ID: o.Identity(), Lost: lost[o.Identity()]})
		}
	}
	return named
}

// Relay is a relay as NATS discovery shows it.
type Relay struct {
	ID, Version string
	Started     time.Time
	visit.RelayStatus
}

// Relays returns the relays that answer until ctx ends, none has for a while, or two
// seconds are over, in the order of their ids. The error wraps visit.ErrDenied.
func (b *Book) Relays(ctx context.Context) ([]Relay, error) {
	return findRelays(ctx, b.nc)
}

// FindRelays does the same where there is no bucket to open.
func FindRelays(ctx context.Context, cfg Config) ([]Relay, error) {
	nc, err := cfg.dialOnce()
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	return findRelays(ctx, nc)
}

// maxRelayLook bounds a look, of which there are two around each order.
const maxRelayLook = 2 * time.Second

func findRelays(ctx context.Context, nc *nats.Conn) ([]Relay, error) {
	// Whoever answers without end must not keep an order from being given.
	ctx, cancel := context.WithTimeout(ctx, maxRelayLook)
	defer cancel()
	found := map[string]Relay{}
	_, err := discover(ctx, nc, micro.StatsVerb, visit.RelayService, func(data []byte, _ time.Duration) {
		if r, ok := relayFrom(data); ok {
			found[r.ID] = r
		}
	})
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Relay) int { return strings.Compare(a.ID, b.ID) }), nil
}

func relayFrom(data []byte) (Relay, bool) {
	var s micro.Stats
	if err := json.Unmarshal(data, &s); err != nil || s.Name != visit.RelayService {
		return Relay{}, false
	}
	r := Relay{ID: s.ID, Version: s.Version, Started: s.Started}
	for _, e := range s.Endpoints {
		if e != nil && e.Name == statusEndpoint && json.Unmarshal(e.Data, &r.RelayStatus) == nil {
			return r, true
		}
	}
	return Relay{}, false
}
