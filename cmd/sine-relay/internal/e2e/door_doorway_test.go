package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// places is how many visitors may wait at once.
const places = 4

// doorway is a relay with an integration for every cell and one more, that can be
// kept busy.
type doorway struct {
	*program
	nats *natstest.Server
	// told is what the visitors of the cells were told, by the cell's name.
	told map[string]told
}

func newDoorway(t *testing.T) *doorway {
	t.Helper()
	nats := natsDenying(t, askFor("no_permission"))
	var integrations []fields
	for i := range places {
		integrations = append(integrations, fields{"name": busy(i), "site": "hq", "decider": "busy", "decisionBudget": "30s"})
	}
	for _, c := range causes {
		for _, one := range c.cells() {
			integrations = append(integrations, one.integration())
		}
		if c.reply != nil {
			alwaysSay(t, nats, c)
		}
	}
	settings := append(asRelay(nats), "SPOOL_DIR="+t.TempDir(), "BODY_LIMIT=8KiB", "WRITE_TIMEOUT=60s", fmt.Sprint("MAX_CHECK_IN_REQUESTS=", places))
	p := runDoor(t, integrationsOf(t, integrations), settings...)
	return &doorway{program: p, nats: nats, told: map[string]told{}}
}

func askFor(decider string) string { return "visitors.v1.ask.hq." + decider }

// alwaysSay is a decider that says the same to everybody.
func alwaysSay(t *testing.T, s *natstest.Server, c cause) {
	t.Helper()
	nc := s.Connect(asTeam)
	say := func(m *nats.Msg) { m.RespondMsg(&nats.Msg{Header: c.reply.Header, Data: c.reply.Data}) }
	if _, err := nc.Subscribe(askFor(c.name), say); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// send sends the visitors of all cells of a cause at once.
func (d *doorway) send(c cause) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, one := range c.cells() {
		all.Go(func() {
			answer := d.visitor(one.question())
			mu.Lock()
			defer mu.Unlock()
			d.told[one.name()] = answer
		})
	}
	all.Wait()
}

// let has a cause happen to its visitors.
func (d *doorway) let(c cause) {
	if c.around == nil {
		d.send(c)
		return
	}
	c.around(d, func() { d.send(c) })
}

// inSilence has a decider that is asked and says nothing.
func (d *doorway) inSilence(send func()) {
	silent := newPuppet(d.t, d.nats, askFor("silence"), asTeam)
	send()
	silent.take(d.t, places)
}

// busy is one of the integrations that have a place each: none gets all of them.
func busy(i int) string { return fmt.Sprint("busy-", i) }

// crowded has other visitors in all places, who are answered in the end.
func (d *doorway) crowded(send func()) {
	decider := newPuppet(d.t, d.nats, askFor("busy"), asTeam)
	var waiting sync.WaitGroup
	for i := range places {
		waiting.Go(func() {
			if got := d.visitor(busy(i), webhook("signin_before", noon, "Ada")); !strings.Contains(got.body, "SUCCESS") {
				d.t.Errorf("whoever had a place was told %s", got.body)
			}
		})
	}
	questions := decider.take(d.t, places)
	send()
	for _, q := range questions {
		q.Respond([]byte(`{"decision":"accept"}`))
	}
	waiting.Wait()
}

// cutOff stops NATS once a decider has the questions.
func (d *doorway) cutOff(send func()) {
	cut := newPuppet(d.t, d.nats, askFor("cut_off"), asTeam)
	sent := make(chan struct{})
	go func() { defer close(sent); send() }()
	cut.take(d.t, places)
	d.nats.Stop()
	<-sent
}
