package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// Examination is what NATS is like for the relay.
type Examination struct {
	// Server is the URL of the server, without password.
	Server string
	// Unauthenticated is whether it requires no authentication.
	Unauthenticated bool
	Streams         []streams.Status
	// Requests is nil when no stream takes the check-in requests.
	Requests error
}

// Examine inspects NATS with the relay's credentials. It creates and changes nothing.
func Examine(ctx context.Context, cfg Config) (Examination, error) {
	cfg, c, err := dialRelay(ctx, cfg)
	if err != nil {
		return Examination{}, err
	}
	defer c.Close()
	e := Examination{Server: c.Server(), Unauthenticated: c.Unauthenticated()}
	fault, err := streams.Overlap(ctx, c, cfg.Streams.Subjects.All(visit.RootAsk))
	e.Requests = errors.Join(fault, conn.Detailed(err))
	e.Streams = append(streams.Inspect(ctx, c, cfg.Streams), examineOrders(ctx, c, cfg))
	return e, nil
}

func dialRelay(ctx context.Context, cfg Config) (Config, *conn.Conn, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return cfg, nil, err
	}
	c, err := conn.DialRelay(ctx, cfg.NATS, "verify")
	return cfg, c, err
}

// examineOrders inspects the bucket of standing orders.
func examineOrders(ctx context.Context, c *conn.Conn, cfg Config) streams.Status {
	stream := "KV_" + cfg.Orders
	info, err := streams.Get(ctx, c, stream)
	switch {
	case streams.IsAbsent(err):
		return streams.Status{Name: stream, Pending: streams.Absent(stream)}
	case err != nil:
		return streams.Status{Name: stream, Fault: fmt.Errorf("look at stream %s: %w", stream, conn.Detailed(err))}
	}
	differs, unfit := orders.Inspect(cfg.Orders, cfg.Streams.Replicas, info.Config)
	s := streams.Status{Name: stream, Verified: unfit == nil, Fault: unfit}
	for _, d := range differs {
		s.Drift = append(s.Drift, streams.Drift(d).Line(stream))
	}
	return s
}

// Attempt is what came of a message on one subject.
type Attempt struct {
	Subject string
	// Fault is nil when a message on the subject would arrive.
	Fault error
}

// Preflight finds out whether the credentials may publish on the subjects of events,
// records and quarantine at a site, and ask there. Nothing is stored and no decider
// gets a message: the streams get one that they must refuse, and the check-in request
// is for a decider that does not exist.
func Preflight(ctx context.Context, cfg Config, site string) ([]Attempt, error) {
	cfg, c, err := dialRelay(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	subjects := cfg.Streams.Subjects
	var all []Attempt
	for _, s := range []string{
		subjects.Event(site, visit.KindCheckedIn),
		subjects.Decision(site, visit.ResultRejected),
		subjects.Quarantine(site),
	} {
		all = append(all, Attempt{s, conn.Detailed(streams.Preflight(ctx, c, s))})
	}
	request := subjects.Ask(site, streams.NoStream)
	return append(all, Attempt{request, conn.Detailed(preflightRequest(ctx, c, request))}), nil
}

func preflightRequest(ctx context.Context, c *conn.Conn, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	reply, err := c.Request(ctx, &nats.Msg{Subject: subject, Header: nats.Header{visit.HeaderSynthetic: {"true"}}})
	switch {
	case err != nil:
		return err
	case conn.IsNoResponders(reply):
		return nil
	}
	if stream, is := streams.AcknowledgedBy(reply); is {
		return streams.AcknowledgesRequests(stream, subject)
	}
	return nil
}
