package main

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// thinking is how long the decider takes, so that calls are in flight when
// relays end. About the visitor slow it never says anything.
const (
	thinking = 50 * time.Millisecond
	slow     = "Slow"
)

// decider lets everybody in, and remembers what it was asked.
type decider struct {
	mu        sync.Mutex
	questions map[string]map[string]bool // by visitor, the calls that asked
}

func decide(url string) (*decider, error) {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return nil, err
	}
	d := &decider{questions: map[string]map[string]bool{}}
	_, err = nc.QueueSubscribe("visitors.v1.ask.default.default", "q", func(m *nats.Msg) { go d.answer(m) })
	if err == nil {
		err = nc.Flush()
	}
	return d, err
}

func (d *decider) answer(m *nats.Msg) {
	var q visit.CheckInRequest
	if json.Unmarshal(m.Data, &q) != nil || q.Person.LastName == slow {
		return
	}
	d.mu.Lock()
	if d.questions[q.Person.LastName] == nil {
		d.questions[q.Person.LastName] = map[string]bool{}
	}
	d.questions[q.Person.LastName][m.Header.Get(visit.HeaderRequestID)] = true
	d.mu.Unlock()
	time.Sleep(thinking)
	m.Respond([]byte(`{"decision":"accept"}`))
}

// twice are the visitors that it was asked about by more than one call.
func (d *decider) twice() (visitors []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, calls := range d.questions {
		if len(calls) > 1 {
			visitors = append(visitors, name)
		}
	}
	return visitors
}
