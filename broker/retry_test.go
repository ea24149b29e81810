package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// cannotCreate is a relay that finds streams and creates none.
var cannotCreate = withUser(&server.Permissions{
	Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>"}},
})

func TestPublish_SucceedsOnceTheStreamIsCreated(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, cannotCreate)
	b := connectTo(t, s, asRelay)
	awaitFault(t, b, "nats stream add VISITORS")
	seen := make(chan *nats.Msg, 1000)
	nc := s.Connect(asTeam)
	if _, err := nc.ChanSubscribe("visitors.v1.event.>", seen); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	published := make(chan error, 1)
	go func() {
		_, err := b.Publish(within(t, patience), event("1"))
		published <- err
	}()
	wait.Receive(t, "the first try", seen)
	createStream(t, s, func(*jetstream.StreamConfig) {}, asTeam)
	if err := <-published; err != nil {
		t.Error(err)
	}
	if n := stored(t, s, asTeam); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

// With nats.go's own retries nothing would be known for 500 ms.
func TestTrap_HiddenRetriesHideThatNoStreamIsThere(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, cannotCreate)
	b := connectTo(t, s, asRelay)
	const want = "publish visitors.v1.event.hq.checked_in: no stream for the subject: expected VISITORS"
	unlessHeldUp(t, func() error {
		_, err := b.Publish(within(t, 250*time.Millisecond), event("1"))
		if !errors.Is(err, visit.ErrStreamMissing) || err.Error() != want {
			return fmt.Errorf("%w, want %s", err, want)
		}
		return nil
	})
}

func TestStream_IsCreatedAgainAfterDeletion(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	if err := s.JetStream().DeleteStream(within(t, patience), "VISITORS"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(within(t, patience), event("1")); err != nil {
		t.Error(err)
	}
}
