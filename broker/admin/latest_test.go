package admin_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// latest are the minutes at which those events were received that are among the last
// messages.
func latest(t *testing.T, s *natstest.Server, messages uint64) (minutes []int) {
	t.Helper()
	err := admin.LatestEvents(within(t, patience), admin.Config{NATS: conn.Config{Servers: []string{s.URL()}}}, messages, func(e *visit.Event) {
		if len(e.Source) == 0 {
			t.Error("an event without what Sine sent")
		}
		minutes = append(minutes, int(e.Received.Sub(morning).Minutes()))
	})
	if err != nil {
		t.Fatal(err)
	}
	return minutes
}

func TestLatestEvents_AreTheLastMessages(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	if got := latest(t, s, 5); got != nil {
		t.Errorf("of an empty stream: %d", got)
	}
	forged := eventAt("hq", visit.KindCheckedIn, at(9))
	forged.Data = []byte(`{"firstName":"Zmark"`)
	store(t, s.JetStream(), eventAt("hq", visit.KindCheckedIn, at(0)), eventAt("lab", visit.KindCheckedOut, at(1)), forged, eventAt("hq", visit.KindCheckedOut, at(2)), eventAt("lab", visit.KindCheckedIn, at(3)))
	for messages, want := range map[uint64][]int{1: {3}, 3: {2, 3}, 4: {1, 2, 3}, 5: {0, 1, 2, 3}, 2000: {0, 1, 2, 3}} {
		if got := latest(t, s, messages); !slices.Equal(got, want) {
			t.Errorf("of the last %d messages: %d", messages, got)
		}
	}
}

func TestLatestEvents_SaysWhyTheyCannotBeRead(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	none := func(*visit.Event) { t.Error("an event") }
	err := admin.LatestEvents(within(t, patience), admin.Config{NATS: conn.Config{Servers: []string{s.URL()}}}, 5, none)
	if !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("without a stream: %v", err)
	}
	err = admin.LatestEvents(within(t, patience), admin.Config{NATS: conn.Config{Servers: []string{"nats://127.0.0.1:1"}}}, 5, none)
	if err == nil {
		t.Error("without NATS there is no error")
	}
}
