package e2e

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// puppet is a decider on a connection of its own that leaves its questions to the
// test. A question that the test did not expect stays where it is.
type puppet struct {
	nc        *nats.Conn
	questions chan *nats.Msg
}

func newPuppet(t *testing.T, s *natstest.Server, subject string, o ...nats.Option) *puppet {
	t.Helper()
	p := &puppet{nc: s.Connect(o...), questions: make(chan *nats.Msg, 64)}
	if _, err := p.nc.ChanSubscribe(subject, p.questions); err != nil {
		t.Fatal(err)
	}
	if err := p.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return p
}

// next is the next question, or nil when none comes.
func (p *puppet) next() *nats.Msg {
	select {
	case m := <-p.questions:
		return m
	case <-time.After(patience):
		return nil
	}
}

// take returns the next n questions, which must come.
func (p *puppet) take(t *testing.T, n int) (all []*nats.Msg) {
	t.Helper()
	for range n {
		m := p.next()
		if m == nil {
			t.Fatalf("%d questions were asked, want %d", len(all), n)
		}
		all = append(all, m)
	}
	return all
}
