package broker

import (
	"fmt"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/discovery"
	"github.com/sine-relay/sine-relay/broker/outbox"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// Status is where the broker stands at one moment. "Disconnected" is
// !RequestsConnected or !EventsConnected without a Fault; whatever only a person can
// mend is a Fault.
type Status struct {
	RequestsConnected, EventsConnected bool
	// Server is the URL of the server in use, without password, or empty.
	Server string
	// LastError is the last error of a connection since it was last made,
	// or empty.
	LastError string
	// LastErrorAt is when that was.
	LastErrorAt time.Time
	// Unauthenticated is set while NATS requires no authentication.
	Unauthenticated bool
	Streams         []streams.Status
	// Spool is nil where there is none.
	Spool *outbox.Status
	// Orders has lines about the operator's standing orders.
	Orders []string
	// OrdersRead is set once the orders were known; it stays set.
	OrdersRead bool
	// Impaired is what a person must mend while everything else works: a stream
	// or the spool is full, or a reason to look at the spool's directory. Or nil.
	Impaired error
	// Verified is set once every stream was found fit; it stays set.
	Verified bool
	// Fault is set while a person must help: NATS refuses the credentials, a
	// certificate or the inbox, a stream is unusable, or one takes the check-in
	// requests. It names the remedy and clears by itself.
	Fault error
}

// Status says where the broker stands.
func (b *Broker) Status() Status {
	s := Status{
		RequestsConnected: b.requests.Connected(),
		EventsConnected:   b.events.Connected(),
		Server:            b.events.Server(),
		Unauthenticated:   b.unauthenticated(),
		Spool:             b.outbox.Status(),
		Orders:            b.orders.Lines(),
		OrdersRead:        b.ordersRead(),
		Verified:          true,
	}
	requestsErr, requestsFault := b.requests.State()
	eventsErr, eventsFault := b.events.State()
	last := requestsErr
	if eventsErr.At.After(requestsErr.At) {
		last = eventsErr
	}
	s.LastError, s.LastErrorAt = last.Text, last.At
	var streamFault error
	s.Streams, streamFault = b.streams.State()
	for _, one := range s.Streams {
		s.Verified = s.Verified && one.Verified
	}
	s.Fault = streams.InOneLine(requestsFault, eventsFault, streamFault, b.orders.Fault())
	s.Impaired = b.impaired(s)
	return s
}

// impaired is what a person must mend while everything else works, or nil.
func (b *Broker) impaired(s Status) error {
	impaired := []error{b.replies.fault(), b.outbox.Impairment()}
	if s.EventsConnected && s.RequestsConnected {
		impaired = append(impaired, b.orders.Deaf())
	}
	for _, one := range s.Streams {
		impaired = append(impaired, one.Refused, one.Lost)
	}
	return streams.InOneLine(append(impaired, b.outbox.Full()...)...)
}

func (b *Broker) ordersRead() bool {
	if _, known := b.orders.Orders(); known {
		b.ordersOnce.Store(true)
	}
	return b.ordersOnce.Load()
}

// unauthenticated reports whether one of the servers in use requires no
// authentication.
func (b *Broker) unauthenticated() bool {
	return b.requests.Unauthenticated() || b.events.Unauthenticated()
}

func (b *Broker) unauthenticatedValue() float64 {
	if b.unauthenticated() {
		return 1
	}
	return 0
}

// Lines is the status in detail, for people.
func (s Status) Lines() []string {
	lines := []string{fmt.Sprintf("nats: check-in requests %s, events %s", connectedOrNot(s.RequestsConnected), connectedOrNot(s.EventsConnected))}
	if s.Server != "" {
		lines = append(lines, "server: "+s.Server)
	}
	if s.Unauthenticated {
		lines = append(lines, conn.UnauthenticatedText)
	}
	if s.LastError != "" {
		lines = append(lines, fmt.Sprintf("last error at %s: %s", s.LastErrorAt.UTC().Format(time.RFC3339), s.LastError))
	}
	if s.Spool != nil {
		lines = append(lines, fmt.Sprintf("spool: %d messages, %.0f %% full", s.Spool.Messages, 100*s.Spool.Full))
	}
	if s.Impaired != nil {
		lines = append(lines, s.Impaired.Error())
	}
	for _, line := range s.Orders {
		// What is wrong with the orders impairs the relay, and was said before.
		if s.Impaired == nil || !strings.Contains(s.Impaired.Error(), strings.TrimPrefix(line, "orders: ")) {
			lines = append(lines, line)
		}
	}
	for _, one := range s.Streams {
		lines = append(lines, one.Line())
		lines = append(lines, one.Drift...)
	}
	return lines
}

func connectedOrNot(connected bool) string {
	if connected {
		return "connected"
	}
	return "not connected"
}

// Announcement is what a relay says of itself beside what the broker knows.
type Announcement struct {
	Version string
	// State is the relay's readiness in a word, and Sites those of its
	// integrations. They are called when the status is asked for.
	State func() string
	Sites func() []string
	// Integrations are in the order of their names; nil for none.
	Integrations func() []visit.RelayIntegration
}

// Announce makes the relay visible in NATS discovery until [Broker.Close]. Like
// [Connect] it fails only for what can never work.
func (b *Broker) Announce(a Announcement) error {
	s, err := discovery.Announce(b.cfg.NATS, discovery.Announcement{
		Version: a.Version, Status: func() visit.RelayStatus { return b.relayStatus(a) },
		Reserved: []string{strings.TrimSuffix(b.cfg.Streams.Subjects.All(visit.RootEvent), "event.>")},
	}, b.log)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.service.Store(s)
	return nil
}

// relayStatus is what this relay says of itself.
func (b *Broker) relayStatus(a Announcement) visit.RelayStatus {
	sites := a.Sites()
	r := visit.RelayStatus{State: a.State(), SiteCount: len(sites), Sites: sites[:min(len(sites), visit.MaxRelaySites)]}
	if spool := b.outbox.Status(); spool != nil {
		r.Spooled, r.SpoolFull = spool.Messages, spool.Full
	}
	st := b.orders.Status()
	r.OrdersKnown, r.OrdersReadAt, r.OrdersRevision = st.Known, st.AsOf.UTC(), st.Revision
	r.Orders = b.orders.Obeyed()
	if impaired := b.Status().Impaired; impaired != nil {
		text := impaired.Error()
		r.Impaired = strings.ToValidUTF8(text[:min(len(text), maxImpaired)], "")
	}
	if a.Integrations != nil {
		all := a.Integrations()
		r.IntegrationCount, r.Integrations = len(all), discovery.Fitting(r, all)
	}
	return r
}

// maxImpaired bounds what a relay says of itself, in bytes.
const maxImpaired = 2000
