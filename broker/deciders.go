package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
)

// Decider is a program that answers questions, as NATS discovery shows it. One
// that is no NATS micro service is not seen.
type Decider struct {
	ID, Version, Description string
	Started                  time.Time
	// Subjects are those whose questions it answers.
	Subjects []string
	// These count questions since the start, and Average is how long one took;
	// visit.DeciderStats says which is which. They are zero for a program that
	// does not use visit/subscriber.
	Answered, Failed, Overloaded, Expired, Late, Stalls int64

	Average time.Duration
	// Distance is how long discovery took to reach it and come back.
	Distance time.Duration
}

// Deciders returns the deciders that answer until ctx ends or nobody has
// answered for a while, in the order of their ids. The error wraps
// visit.ErrDisconnected or visit.ErrDenied.
func (b *Broker) Deciders(ctx context.Context) ([]Decider, Discovery, error) {
	if !b.door.stands() {
		return nil, Discovery{}, fmt.Errorf("look for deciders: %w", visit.ErrDisconnected)
	}
	return deciders(func(each func([]byte, time.Duration)) (Discovery, error) {
		return b.discoverer.discover(ctx, micro.StatsVerb, visit.DeciderService, each)
	})
}

// FindDeciders does the same for an operator.
func FindDeciders(ctx context.Context, cfg Config) ([]Decider, Discovery, error) {
	nc, err := cfg.dialOperator()
	if err != nil {
		return nil, Discovery{}, err
	}
	defer nc.Close()
	return deciders(func(each func([]byte, time.Duration)) (Discovery, error) {
		return discover(ctx, nc, micro.StatsVerb, visit.DeciderService, each)
	})
}

func deciders(search func(each func([]byte, time.Duration)) (Discovery, error)) (all []Decider, d Discovery, err error) {
	d, err = search(func(data []byte, after time.Duration) {
		if one, ok := deciderFrom(data); ok {
			one.Distance = after
			all = append(all, one)
		}
	})
	slices.SortFunc(all, func(a, b Decider) int { return strings.Compare(a.ID, b.ID) })
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

func deciderFrom(data []byte) (Decider, bool) {
	var s deciderStats
	if err := json.Unmarshal(data, &s); err != nil || s.Name != visit.DeciderService {
		return Decider{}, false
	}
	d := Decider{ID: s.ID, Version: s.Version, Started: s.Started}
	for _, e := range s.Endpoints {
		d.Subjects = append(d.Subjects, e.Subject)
		var own visit.DeciderStats
		if json.Unmarshal(e.Data, &own) == nil && own.Decided+own.Failed+own.Overloaded+own.Expired+own.Stalls > 0 {
			d.Answered, d.Failed, d.Overloaded = own.Decided, own.Failed, own.Overloaded
			d.Expired, d.Late, d.Stalls = own.Expired, own.Late, own.Stalls
			d.Average = time.Duration(own.AverageMs * float64(time.Millisecond))
		}
	}
	return d, true
}
