package admin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

func openEvents(t *testing.T, s *natstest.Server, change ...func(*admin.Config)) *admin.Events {
	t.Helper()
	cfg := admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}}
	for _, c := range change {
		c(&cfg)
	}
	e, err := admin.OpenEvents(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// sequencesOf are those of the messages that can be read, and how many cannot.
func sequencesOf(t *testing.T, e *admin.Events, site string, since time.Time) (read []uint64, faults int) {
	t.Helper()
	err := e.Each(within(t, patience), site, since, func(s admin.StoredEvent) error {
		switch {
		case s.Fault == nil && s.Event.Source == nil:
			t.Errorf("message %d is without its source", s.Sequence)
		case s.Fault == nil:
			read = append(read, s.Sequence)
		case strings.Contains(s.Fault.Error(), "Zmark"):
			t.Errorf("personal data: %v", s.Fault)
		default:
			faults++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return read, faults
}

func TestEvents_AreReadWithWhatSineSent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	forged, elsewhere, other := eventAt("hq", visit.KindCheckedIn, at(2)), eventAt("hq", visit.KindCheckedIn, at(2)), eventAt("hq", visit.KindCheckedIn, at(2))
	forged.Data = []byte(`{"firstName":"Zmark"`)
	elsewhere.Subject = visit.Subjects{}.Event("hq", visit.KindCheckedOut)
	other.Subject = visit.Subjects{}.Event("hq", "Zmark")
	other.Data = []byte(`{"id":"1","kind":"Zmark","site":"hq"}`)
	store(t, s.JetStream(),
		eventAt("hq", visit.KindCheckedIn, at(0)), eventAt("lab", visit.KindCheckedOut, at(1)), forged, elsewhere, other, eventAt("hq", visit.KindCheckedOut, at(3)))
	e := openEvents(t, s)
	for _, c := range []struct {
		site  string
		since time.Time
		want  []uint64
	}{
		{"", at(0), []uint64{1, 2, 6}}, {"hq", at(0), []uint64{1, 6}}, {"annex", at(0), nil}, {"", time.Now().Add(time.Hour), nil},
	} {
		read, faults := sequencesOf(t, e, c.site, c.since)
		if !slices.Equal(read, c.want) || len(c.want) > 0 && faults != 3 {
			t.Errorf("site %q since %s: messages %d, and %d that cannot be read", c.site, c.since, read, faults)
		}
	}
	failure := errors.New("enough")
	if err := e.Each(within(t, patience), "", at(0), func(admin.StoredEvent) error { return failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
}

func TestEvents_ADeletedOneIsNotMistakenForTheNext(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	js := s.JetStream()
	store(t, js, eventAt("hq", visit.KindCheckedIn, at(0)), eventAt("hq", visit.KindCheckedIn, at(1)))
	e := openEvents(t, s)
	got, err := e.Get(within(t, patience), 1)
	if err != nil || got.Sequence != 1 || !got.Event.Received.Equal(at(0)) {
		t.Fatalf("%+v %v", got, err)
	}
	stream, err := js.Stream(within(t, patience), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(within(t, patience), 1); err != nil {
		t.Fatal(err)
	}
	for _, sequence := range []uint64{1, 3} {
		if got, err := e.Get(within(t, patience), sequence); !errors.Is(err, admin.ErrDeleted) {
			t.Errorf("message %d: %+v %v", sequence, got, err)
		}
	}
}

// correctionOf corrects the event of a message.
func correctionOf(t *testing.T, e *admin.Events, sequence uint64) *visit.Event {
	t.Helper()
	stored, err := e.Get(within(t, patience), sequence)
	if err != nil {
		t.Fatal(err)
	}
	c := *stored.Event
	c.Company = "Contoso"
	if err := c.Correct(stored.Event); err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestEventsSubmit_ACorrectionIsStoredOnceBesideItsEvent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	store(t, s.JetStream(), eventAt("hq", visit.KindCheckedIn, at(0)))
	e := openEvents(t, s)
	c := correctionOf(t, e, 1)
	for _, duplicate := range []bool{false, true} {
		receipt, err := e.Submit(within(t, patience), c)
		if err != nil || receipt.Duplicate != duplicate || receipt.Stream != visit.DefaultEventStream || receipt.Sequence != 2 {
			t.Errorf("%+v %v", receipt, err)
		}
	}
	m, err := e.Get(within(t, patience), 2)
	if err != nil || m.Event.ID != c.ID || m.Event.Corrects != c.Corrects || string(m.Event.Source) != string(c.Source) {
		t.Errorf("%+v %v", m.Event, err)
	}
}

func TestEventsSubmit_SaysWhyAnEventIsNotStored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	b := ready(t, s)
	js := s.JetStream()
	store(t, js, eventAt("hq", visit.KindCheckedIn, at(0)))
	e := openEvents(t, s)
	c := correctionOf(t, e, 1)
	submit := func(with *admin.Events, e visit.Event) error {
		t.Helper()
		_, err := with.Submit(within(t, patience), &e)
		return err
	}
	large, strange := *c, *c
	large.Company = strings.Repeat("Zmark", 20_000)
	strange.Time = time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := submit(e, large); !errors.Is(err, visit.ErrTooLarge) || strings.Contains(err.Error(), "Zmark") {
		t.Errorf("larger than NATS accepts: %v", err)
	}
	if err := submit(e, strange); err == nil {
		t.Error("an event without a time that can be written was stored")
	}
	another := openEvents(t, s, func(cfg *admin.Config) { cfg.Streams.Events = streams.Limits{Name: "ANOTHER"} })
	if err := submit(another, *c); err == nil || !strings.Contains(err.Error(), "ANOTHER") {
		t.Errorf("stored in another stream than was expected: %v", err)
	}
	b.Close(within(t, patience)) // or it would mend the stream
	stream, err := js.Stream(within(t, patience), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgSize = 100
	if _, err := js.UpdateStream(within(t, patience), cfg); err != nil {
		t.Fatal(err)
	}
	if err := submit(e, *c); !errors.Is(err, visit.ErrTooLarge) {
		t.Errorf("larger than the stream accepts: %v", err)
	}
	if err := js.DeleteStream(within(t, patience), visit.DefaultEventStream); err != nil {
		t.Fatal(err)
	}
	if err := submit(e, *c); !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("without a stream: %v", err)
	}
	if err := e.Each(within(t, patience), "", at(0), func(admin.StoredEvent) error { return nil }); !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("read without a stream: %v", err)
	}
	if _, err := e.Get(within(t, patience), 1); !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("one read without a stream: %v", err)
	}
	s.Stop()
	eventually(t, "the connection is lost", func() bool { return errors.Is(submit(e, *c), visit.ErrDisconnected) })
}

// Who may read events may not therefore store any.
func TestEventsSubmit_NeedsAPermissionOfItsOwn(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "relay", Password: "secret"}, {Username: "reader", Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"$JS.API.DIRECT.GET.VISITORS"}},
		}}}
	})
	js := s.JetStream(nats.UserInfo("relay", "secret"))
	_, err := js.CreateStream(within(t, patience), jetstream.StreamConfig{Name: visit.DefaultEventStream, Subjects: []string{"visitors.v1.event.>"}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	store(t, js, eventAt("hq", visit.KindCheckedIn, at(0)))
	e := openEvents(t, s, func(cfg *admin.Config) { cfg.NATS.Auth = dial.Auth{User: "reader", Password: always("secret")} })
	_, err = e.Submit(within(t, patience), correctionOf(t, e, 1))
	if !errors.Is(err, visit.ErrDenied) || !strings.Contains(err.Error(), "may not publish to visitors.v1.event.hq.checked_in") {
		t.Error(err)
	}
	if read, _ := sequencesOf(t, e, "", at(0)); len(read) != 1 {
		t.Errorf("messages %d are stored", read)
	}
}

func TestOpenEvents_SaysThatThereIsNoServer(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	s.Stop()
	if _, err := admin.OpenEvents(admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}}); err == nil || !strings.Contains(err.Error(), "connect to NATS at") {
		t.Error(err)
	}
}

func TestEvents_TheLatestAreTheLastMessages(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	e := openEvents(t, s)
	latest := func(messages uint64) (sequences []uint64) {
		t.Helper()
		if err := e.Latest(within(t, patience), messages, func(s admin.StoredEvent) error {
			sequences = append(sequences, s.Sequence)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return sequences
	}
	if got := latest(5); got != nil {
		t.Errorf("of an empty stream: %d", got)
	}
	store(t, s.JetStream(), eventAt("hq", visit.KindCheckedIn, at(0)), eventAt("lab", visit.KindCheckedOut, at(1)), eventAt("hq", visit.KindCheckedOut, at(2)))
	for messages, want := range map[uint64][]uint64{1: {3}, 2: {2, 3}, 3: {1, 2, 3}, 2000: {1, 2, 3}} {
		if got := latest(messages); !slices.Equal(got, want) {
			t.Errorf("of the last %d messages: %d", messages, got)
		}
	}
	failure := errors.New("enough")
	if err := e.Latest(within(t, patience), 2, func(admin.StoredEvent) error { return failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
}

func TestEvents_TheLatestOfNoStreamAreAnError(t *testing.T) {
	t.Parallel()
	e := openEvents(t, natstest.Start(t))
	err := e.Latest(within(t, patience), 5, func(admin.StoredEvent) error { return nil })
	if !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("the error is %v", err)
	}
}
