package discovery

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

// Deciders returns the deciders that reply until ctx ends or none has replied for a
// while, in the order of their ids. The error wraps visit.ErrDisconnected or
// visit.ErrDenied.
func (c *Client) Deciders(ctx context.Context) ([]visit.Decider, Outcome, error) {
	return deciders(func(each func([]byte, time.Duration)) (Outcome, error) {
		return c.discover(ctx, micro.StatsVerb, visit.DeciderService, each)
	})
}

// Deciders does the same over a connection that others may use as well.
func Deciders(ctx context.Context, nc dial.Link) ([]visit.Decider, Outcome, error) {
	return deciders(func(each func([]byte, time.Duration)) (Outcome, error) {
		return discoverShared(ctx, nc, micro.StatsVerb, visit.DeciderService, each)
	})
}

func deciders(search func(each func([]byte, time.Duration)) (Outcome, error)) (all []visit.Decider, d Outcome, err error) {
	d, err = search(func(data []byte, after time.Duration) {
		if one, ok := deciderFrom(data); ok {
			one.Distance = after
			all = append(all, one)
		}
	})
	slices.SortFunc(all, func(a, b visit.Decider) int { return strings.Compare(a.ID, b.ID) })
	return all, d, err
}

// deciderStats is what is read of a reply. micro.Stats is the whole, and takes
// sixty bytes for each three of a reply that is made to be large.
type deciderStats struct {
	micro.ServiceIdentity
	Started   time.Time `json:"started"`
	Endpoints []struct {
		Subject string          `json:"subject"`
		Data    json.RawMessage `json:"data"`
	} `json:"endpoints"`
}

func deciderFrom(data []byte) (visit.Decider, bool) {
	var s deciderStats
	if err := json.Unmarshal(data, &s); err != nil || s.Name != visit.DeciderService {
		return visit.Decider{}, false
	}
	d := visit.Decider{ID: s.ID, Version: s.Version, Started: s.Started}
	for _, e := range s.Endpoints {
		d.Subjects = append(d.Subjects, e.Subject)
		var own visit.DeciderStats
		if json.Unmarshal(e.Data, &own) == nil && own.Decided+own.Failed+own.Overloaded+own.Expired+own.Stalls > 0 {
			d.DeciderStats = own
		}
	}
	return d, true
}

// maxRelayLook bounds a look, of which there are two around each order.
const maxRelayLook = 2 * time.Second

// Relays returns the relays that reply until ctx ends, none has for a while, or two seconds
// are over, in the order of their ids. The error wraps visit.ErrDenied.
func Relays(ctx context.Context, nc dial.Link) ([]visit.Relay, Outcome, error) {
	// A client that replies without end must not keep an order from being given.
	ctx, cancel := context.WithTimeout(ctx, maxRelayLook)
	defer cancel()
	found := map[string]visit.Relay{}
	d, err := discoverShared(ctx, nc, micro.StatsVerb, visit.RelayService, func(data []byte, _ time.Duration) {
		if r, ok := relayFrom(data); ok {
			found[r.ID] = r
		}
	})
	if err != nil {
		return nil, d, err
	}
	return slices.SortedFunc(maps.Values(found), func(a, b visit.Relay) int { return strings.Compare(a.ID, b.ID) }), d, nil
}

func relayFrom(data []byte) (visit.Relay, bool) {
	var s micro.Stats
	if err := json.Unmarshal(data, &s); err != nil || s.Name != visit.RelayService {
		return visit.Relay{}, false
	}
	r := visit.Relay{ID: s.ID, Version: s.Version, Started: s.Started}
	for _, e := range s.Endpoints {
		if e != nil && e.Name == statusEndpoint && json.Unmarshal(e.Data, &r.RelayStatus) == nil {
			return r, true
		}
	}
	return visit.Relay{}, false
}
