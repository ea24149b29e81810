package desk_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// sees waits until a follower has got these, each once, in any order.
func (f *followed) sees(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	eventually(t, "what was stored is delivered", func() bool { return len(f.got()) >= len(want) })
	got := f.got()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("told of %q, want %q", got, want)
	}
}

func TestFollow_TellsOfWhatIsStoredFromNowOn(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	before := record("hq", visit.Accept, time.Now())
	publish(t, relay, &before)
	f := follow(t, d)
	f.reads(t)
	r, e := record("hq", visit.Reject, time.Now()), event("lab", visit.KindCheckedIn, time.Now())
	publish(t, relay, &r, &e)
	f.sees(t, r.RequestID, e.ID)
}

// A page that goes on showing what was must say so.
func TestFollow_OutlastsARestartOfNATS(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	f := follow(t, d)
	f.reads(t)
	one := record("hq", visit.Accept, time.Now())
	publish(t, relay, &one)
	f.sees(t, one.RequestID)
	s.Stop()
	eventually(t, "it says that NATS is away", func() bool { return errors.Is(f.state(), visit.ErrDisconnected) })
	s.Restart()
	two := record("hq", visit.Accept, time.Now())
	m, err := two.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.JetStream().PublishMsg(within(t, patience), natsMsg(m)); err != nil {
		t.Fatal(err)
	}
	f.sees(t, one.RequestID, two.RequestID)
	f.reads(t)
}

// After a loss of NATS' disk, relays store again what they know: each is delivered once.
func TestFollow_OutlastsAStreamThatIsMadeAnew(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	d, js := deskOn(t, s), s.JetStream()
	create := func(name, subjects string) {
		t.Helper()
		if _, err := js.CreateStream(within(t, patience), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}, AllowDirect: true}); err != nil {
			t.Fatal(err)
		}
	}
	store := func(all ...messenger) {
		t.Helper()
		for _, one := range all {
			m, err := one.Message(visit.Subjects{})
			if err == nil {
				_, err = js.PublishMsg(within(t, patience), natsMsg(m))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	f := follow(t, d)
	eventually(t, "it says that there is no stream", func() bool { return errors.Is(f.state(), visit.ErrStreamMissing) })
	create(visit.DefaultEventStream, "visitors.v1.event.>")
	create(visit.DefaultDecisionStream, "visitors.v1.decision.>")
	f.reads(t)
	one, two := event("hq", visit.KindCheckedIn, time.Now()), event("hq", visit.KindCheckedIn, time.Now())
	store(&one, &two)
	f.sees(t, one.ID, two.ID)
	if err := js.DeleteStream(within(t, patience), visit.DefaultEventStream); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says that the stream is gone", func() bool { return errors.Is(f.state(), visit.ErrStreamMissing) })
	create(visit.DefaultEventStream, "visitors.v1.event.>")
	three := event("hq", visit.KindCheckedOut, time.Now())
	store(&two, &three)
	f.sees(t, one.ID, two.ID, three.ID)
}

func TestFollow_BeginsOnceItMay(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(nil, []string{"_INBOX.>"}))
	relay := relayOn(t, s)
	f := follow(t, deskOn(t, s))
	eventually(t, "it says what to permit", func() bool { return errors.Is(f.state(), visit.ErrDenied) })
	s.Stop()
	s.Restart(confined(needs, []string{"_INBOX.>"}))
	f.reads(t)
	eventually(t, "the relay is back", func() bool { return relay.Status().EventsConnected })
	one := record("hq", visit.Accept, time.Now())
	publish(t, relay, &one)
	f.sees(t, one.RequestID)
}

// What somebody else stored is neither told as if it were a relay's, nor in the way.
func TestFollow_PassesOverWhatOthersStored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	f := follow(t, d)
	f.reads(t)
	foreign := record("lab", visit.Accept, time.Now())
	m, err := foreign.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	js := s.JetStream()
	for _, garbage := range []struct {
		subject string
		data    []byte
	}{
		{"visitors.v1.decision.hq.accepted", []byte("{")}, {"visitors.v1.decision.hq.accepted", nil}, {"visitors.v1.decision.hq.accepted", []byte(`{"received":"x"}`)},
		{"visitors.v1.decision.hq.accepted", m.Data}, // of a site that its reader may not see
		{"visitors.v1.event.hq.checked_in", []byte(`[1]`)}, {"visitors.v1.event.hq.checked_in", m.Data},
		{"visitors.v1.event.hq.expelled", []byte(`{}`)}, {"visitors.v1.decision.hq.accepted.x", m.Data},
	} {
		if _, err := js.Publish(within(t, patience), garbage.subject, garbage.data); err != nil {
			t.Fatal(err)
		}
	}
	own := record("hq", visit.Accept, time.Now())
	publish(t, relay, &own)
	f.sees(t, own.RequestID)
	if got := d.counted(t, visit.DefaultDecisionStream); got != 4 {
		t.Errorf("%v records were passed over", got)
	}
	eventually(t, "events are passed over, too", func() bool { return d.counted(t, visit.DefaultEventStream) == 3 })
	var read []string
	err = d.Records(within(t, patience), "", "", own.Received.Add(-time.Hour), time.Time{}, func(r visit.Record) error {
		read = append(read, r.RequestID)
		return nil
	})
	if err != nil || !slices.Equal(read, []string{own.RequestID}) {
		t.Errorf("%q: %v", read, err)
	}
}
