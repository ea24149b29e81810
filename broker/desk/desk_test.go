package desk_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestDesk_ReadsWhatWasReceivedInAWindow(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	now := time.Now()
	early, hq, lab := record("hq", visit.Accept, now.Add(-2*time.Hour)), record("hq", visit.Reject, now.Add(-time.Hour)), record("lab", visit.Reject, now.Add(-30*time.Minute))
	publish(t, relay, &hq, &lab, &early) // early waited in a spool
	for name, c := range map[string]struct {
		site, result string
		from, to     time.Duration
		want         []visit.Record
	}{
		"everything":     {"", "", -3 * time.Hour, 0, []visit.Record{early, hq, lab}},
		"one site":       {"hq", "", -3 * time.Hour, 0, []visit.Record{early, hq}},
		"one result":     {"", visit.ResultRejected, -3 * time.Hour, 0, []visit.Record{hq, lab}},
		"one of each":    {"hq", visit.ResultAccepted, -3 * time.Hour, 0, []visit.Record{early}},
		"from on":        {"", "", -time.Hour, 0, []visit.Record{hq, lab}},
		"before the end": {"", "", -3 * time.Hour, -time.Hour, []visit.Record{early}},
		"no such site":   {"branch", "", -3 * time.Hour, 0, nil},
	} {
		var to time.Time
		if c.to != 0 {
			to = now.Add(c.to)
		}
		var got, want []string
		err := d.Records(within(t, patience), c.site, c.result, now.Add(c.from), to, func(r visit.Record) error {
			got = append(got, r.RequestID)
			return nil
		})
		for _, r := range c.want {
			want = append(want, r.RequestID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q: %v", name, got, want, err)
		}
	}
}

func TestDesk_ReadsNoPersonalDataButOfOneEvent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	received := time.Now().Add(-time.Hour)
	in, out := event("hq", visit.KindCheckedIn, received), event("hq", visit.KindCheckedOut, received.Add(time.Minute))
	publish(t, relay, &in, &out)
	var got []visit.Event
	err := d.Events(within(t, patience), "hq", received, time.Time{}, func(e visit.Event) error {
		got = append(got, e)
		return nil
	})
	if err != nil || len(got) != 2 || got[0].ID != in.ID || got[1].ID != out.ID || got[0].FormAnswers != nil || got[0].Source != nil {
		t.Errorf("%+v: %v", got, err)
	}
	whole, err := d.Event(within(t, patience), "hq", in.ID, in.Received)
	if err != nil || string(whole.Source) != string(in.Source) || len(whole.FormAnswers) != 1 || whole.Person.LastName != "Zlovelace" {
		t.Errorf("%+v: %v", whole, err)
	}
	for name, c := range map[string]struct {
		site, id string
		received time.Time
	}{
		"another id": {"hq", out.ID + "0", in.Received}, "another site": {"lab", in.ID, in.Received},
		"a later time": {"hq", in.ID, time.Now().Add(time.Hour)},
	} {
		if _, err := d.Event(within(t, patience), c.site, c.id, c.received); !errors.Is(err, visit.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDesk_ReadingEndsWithTheErrorOfTheReader(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	now := time.Now()
	r, e, q := record("hq", visit.Accept, now), event("hq", visit.KindCheckedIn, now), visit.Quarantined{Site: "hq", Integration: "lobby", Reason: visit.ReasonNotJSON, Received: now, RequestID: visit.NewRequestID(), Body: []byte("?")}
	publish(t, relay, &r, &e)
	if _, err := relay.Publish(within(t, patience), q.Message(visit.Subjects{})); err != nil {
		t.Fatal(err)
	}
	if err := d.Audit(within(t, patience), entry("hq", visit.ActionReveal, now)); err != nil {
		t.Fatal(err)
	}
	ctx, from := within(t, patience), now.Add(-time.Minute)
	for name, err := range map[string]error{
		"records":    d.Records(ctx, "", "", from, time.Time{}, func(visit.Record) error { return errEnough }),
		"events":     d.Events(ctx, "", from, time.Time{}, func(visit.Event) error { return errEnough }),
		"audits":     d.Audits(ctx, from, time.Time{}, func(visit.Audit) error { return errEnough }),
		"quarantine": d.Quarantined(ctx, func(uint64, time.Time, visit.Quarantined) error { return errEnough }),
	} {
		if err != errEnough {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A name from an address must not become a pattern of a subject.
func TestDesk_RefusesWhatIsNoSite(t *testing.T) {
	t.Parallel()
	d := deskOn(t, natstest.Start(t))
	ctx, now := within(t, patience), time.Now()
	for _, site := range []string{"*", ">", "hq.rejected", "h q", visit.AllSites} {
		for name, err := range map[string]error{
			"records": d.Records(ctx, site, "", now, time.Time{}, func(visit.Record) error { return nil }),
			"events":  d.Events(ctx, site, now, time.Time{}, func(visit.Event) error { return nil }),
			"event":   func() error { _, err := d.Event(ctx, site, "e", now); return err }(),
		} {
			if err == nil || errors.Is(err, visit.ErrNotFound) {
				t.Errorf("%s of %q: %v", name, site, err)
			}
		}
	}
	if err := d.Records(ctx, "", "*", now, time.Time{}, nil); err == nil {
		t.Error("any result is taken")
	}
}

func TestDesk_ShowsTheQuarantine(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	q := visit.Quarantined{Site: "hq", Integration: "lobby", Reason: visit.ReasonNotJSON, Received: time.Now().UTC(), RequestID: visit.NewRequestID(), Body: []byte("?")}
	if _, err := relay.Publish(within(t, patience), q.Message(visit.Subjects{})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.JetStream().Publish(within(t, patience), "visitors.v1.quarantine.lab", []byte("?")); err != nil {
		t.Fatal(err)
	}
	var got []visit.Quarantined
	err := d.Quarantined(within(t, patience), func(sequence uint64, stored time.Time, q visit.Quarantined) error {
		if sequence != uint64(len(got)+1) || time.Since(stored) > patience {
			t.Errorf("message %d of %s", sequence, stored)
		}
		got = append(got, q)
		return nil
	})
	if err != nil || len(got) != 2 || got[0].RequestID != q.RequestID || got[1].Site != "lab" || got[1].Reason != "" {
		t.Errorf("%+v: %v", got, err)
	}
}

func TestDesk_FindsRelaysAndDeciders(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	err := relay.Announce(broker.Announcement{
		Version: "1.2.3", State: func() string { return "ready" }, Sites: func() []string { return []string{"hq"} },
	})
	if err != nil {
		t.Fatal(err)
	}
	var found []visit.Relay
	eventually(t, "the relay is found", func() bool {
		found, err = d.Relays(within(t, patience))
		return err == nil && len(found) == 1
	})
	if r := found[0]; r.Version != "1.2.3" || r.State != "ready" || !slices.Equal(r.Sites, []string{"hq"}) {
		t.Errorf("%+v", r)
	}
	if deciders, err := d.Deciders(within(t, patience)); err != nil || len(deciders) != 0 {
		t.Errorf("%+v: %v", deciders, err)
	}
}
