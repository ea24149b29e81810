package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
)

// discoverySilence ends a look for deciders: nobody knows how many there are.
const discoverySilence = 300 * time.Millisecond

// Decider is a program that answers questions, as NATS discovery shows it. One
// that is no NATS micro service is not seen.
type Decider struct {
	ID, Version, Description string
	Started                  time.Time
	// Subjects are those whose questions it answers.
	Subjects []string
	// Answered, Failed, Overloaded and Expired count questions since the
	// start, and Average is how long an answer took. They are zero for a
	// program that does not use visit/subscriber.
	Answered, Failed, Overloaded, Expired int64
	Average                               time.Duration
	// Distance is how long discovery took to reach it and come back.
	Distance time.Duration
}

// Deciders returns the deciders that answer until ctx ends or nobody has
// answered for a while, in the order of their ids. The error wraps
// visit.ErrDisconnected or visit.ErrDenied.
func (b *Broker) Deciders(ctx context.Context) ([]Decider, error) {
	if !b.door.live.Load() {
		return nil, fmt.Errorf("look for deciders: %w", visit.ErrDisconnected)
	}
	return discover(ctx, b.door.nc)
}

// FindDeciders does the same for an operator.
func FindDeciders(ctx context.Context, cfg Config) ([]Decider, error) {
	nc, err := cfg.dialOnce()
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	return discover(ctx, nc)
}

func discover(ctx context.Context, nc *nats.Conn) ([]Decider, error) {
	subject, err := micro.ControlSubject(micro.StatsVerb, visit.DeciderService, "")
	if err != nil {
		return nil, err
	}
	inbox := cmp.Or(nc.Opts.InboxPrefix, operatorInbox) + "." + newToken()
	replies, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("look for deciders: %w", err)
	}
	defer replies.Unsubscribe()
	asked := time.Now()
	if err := nc.PublishRequest(subject, inbox, nil); err != nil {
		return nil, fmt.Errorf("look for deciders: %w", err)
	}
	// A server that says nothing has not said that there is nobody.
	if err := flushWithin(ctx, nc); err != nil {
		return nil, fmt.Errorf("look for deciders: %w", err)
	}
	var all []Decider
	for {
		waiting, cancel := context.WithTimeout(ctx, discoverySilence)
		m, err := replies.NextMsgWithContext(waiting)
		cancel()
		if err != nil || isNoResponders(m) {
			slices.SortFunc(all, func(a, b Decider) int { return strings.Compare(a.ID, b.ID) })
			return all, denied(nc, subject)
		}
		if d, ok := deciderFrom(m.Data); ok {
			d.Distance = time.Since(asked)
			all = append(all, d)
		}
	}
}

func flushWithin(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	return nc.FlushWithContext(ctx)
}

// denied tells silence from a refusal, which reaches the connection only.
func denied(nc *nats.Conn, subject string) error {
	if err := nc.LastError(); err != nil && strings.Contains(err.Error(), fmt.Sprintf("%q", subject)) {
		return fmt.Errorf("look for deciders: %w: allow the user to publish to %s", visit.ErrDenied, subject)
	}
	return nil
}

func deciderFrom(data []byte) (Decider, bool) {
	var s micro.Stats
	if err := json.Unmarshal(data, &s); err != nil || s.Name != visit.DeciderService {
		return Decider{}, false
	}
	d := Decider{ID: s.ID, Version: s.Version, Started: s.Started}
	for _, e := range s.Endpoints {
		d.Subjects = append(d.Subjects, e.Subject)
		var own visit.DeciderStats
		if json.Unmarshal(e.Data, &own) == nil && own.Answered+own.Failed+own.Overloaded+own.Expired > 0 {
			d.Answered, d.Failed, d.Overloaded, d.Expired = own.Answered, own.Failed, own.Overloaded, own.Expired
			d.Average = time.Duration(own.AverageNanoseconds)
		}
	}
	return d, true
}
