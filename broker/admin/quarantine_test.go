package admin_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// More messages than a client fetches in advance, so that the last one is deleted
// before it was sent.
func TestQuarantine_ListingEndsWhenMessagesAreDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	const messages = 1200
	for range messages {
		q := visit.Quarantined{Site: "hq", Integration: "lobby", Reason: visit.ReasonNotJSON, Received: time.Now(), RequestID: visit.NewRequestID(), Body: []byte("?")}
		if _, err := b.Publish(within(t, patience), q.Message(visit.Subjects{})); err != nil {
			t.Fatal(err)
		}
	}
	q, err := admin.OpenQuarantine(within(t, patience), admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	var seen []uint64
	err = q.Each(within(t, patience), func(k admin.Kept) error {
		if len(seen) == 0 {
			if err := q.Delete(context.Background(), messages); err != nil {
				t.Error(err)
			}
		}
		seen = append(seen, k.Sequence)
		return nil
	})
	if err != nil || len(seen) != messages-1 || !slices.IsSorted(seen) || seen[0] != 1 {
		t.Errorf("%d messages: %v", len(seen), err)
	}
}
