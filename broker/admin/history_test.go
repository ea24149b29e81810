package admin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// morning is yesterday's.
var morning = time.Now().UTC().Truncate(24 * time.Hour).Add(-16 * time.Hour)

// at is a time of that morning.
func at(minute int) time.Time { return morning.Add(time.Duration(minute) * time.Minute) }

func eventAt(site string, kind visit.Kind, received time.Time) visit.Message {
	id := visit.NewRequestID()
	e := &visit.Event{ID: id, Kind: kind, Source: visit.Source(`{"secret":true}`)}
	e.RequestID, e.Site, e.Integration, e.Received, e.Time = id, site, site+"-lobby", received, received
	e.Visit.Basis = visit.VisitKeyNone
	e.Person.FirstName, e.FormAnswers = "Zmark", []visit.FormAnswer{{Label: "NDA", Value: "Zanswer"}}
	return must(e.Message(visit.Subjects{}))
}

func recordAt(site string, received time.Time) visit.Message {
	r := &visit.Record{RequestID: visit.NewRequestID(), Site: site, Integration: site + "-lobby", Received: received, Verdict: visit.Accept}
	return must(r.Message(visit.Subjects{}))
}

func must(m visit.Message, err error) visit.Message {
	if err != nil {
		panic(err)
	}
	return m
}

// store puts messages into their streams, in this order.
func store(t *testing.T, js jetstream.JetStream, all ...visit.Message) {
	t.Helper()
	for _, m := range all {
		if _, err := js.PublishMsg(within(t, patience), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
			t.Fatal(err)
		}
	}
}

func openHistory(t *testing.T, s *natstest.Server) *admin.History {
	t.Helper()
	h, err := admin.OpenHistory(admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// line is an entry as a test compares it.
func line(e admin.HistoryEntry) string {
	text := fmt.Sprintf("%s %s %s", e.Time.Format("15:04"), e.Site, e.Kind)
	if e.Fault != nil {
		text = fmt.Sprintf("%s %s: %v", e.Site, e.Kind, e.Fault)
	}
	return text
}

func linesOf(t *testing.T, h *admin.History, f admin.HistoryFilter) (all []string) {
	t.Helper()
	err := h.Each(within(t, patience), f, func(e admin.HistoryEntry) error {
		all = append(all, line(e))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHistory_IsInTheOrderInWhichTheRelayReceivedIt(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	store(t, s.JetStream(),
		recordAt("hq", at(1)), eventAt("hq", visit.KindCheckedIn, at(2)), recordAt("hq", at(4)), recordAt("lab", at(5)),
		eventAt("hq", visit.KindCheckedIn, at(3)), // it waited in a spool
		eventAt("lab", visit.KindCheckedOut, at(6)), eventAt("hq", visit.KindCheckedOut, at(7)), eventAt("hq", visit.KindCheckedIn, at(0)))
	h := openHistory(t, s)
	for name, c := range map[string]struct {
		filter admin.HistoryFilter
		want   []string
	}{
		"one site": {admin.HistoryFilter{Site: "hq"}, []string{
			"08:00 hq checked_in", "08:01 hq check_in_request", "08:02 hq checked_in", "08:03 hq checked_in", "08:04 hq check_in_request", "08:07 hq checked_out",
		}},
		"all sites since a time": {admin.HistoryFilter{Since: at(4)}, []string{
			"08:04 hq check_in_request", "08:05 lab check_in_request", "08:06 lab checked_out", "08:07 hq checked_out",
		}},
		"one kind of event":   {admin.HistoryFilter{Kinds: []visit.Kind{visit.KindCheckedOut}}, []string{"08:06 lab checked_out", "08:07 hq checked_out"}},
		"check-in requests":   {admin.HistoryFilter{Site: "lab", Kinds: []visit.Kind{visit.KindCheckInRequest}}, []string{"08:05 lab check_in_request"}},
		"a site of no events": {admin.HistoryFilter{Site: "annex"}, nil},
	} {
		if got := linesOf(t, h, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, c.want)
		}
	}
}

func TestHistory_HoldsNeitherTheBodyNorFormAnswers(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	store(t, s.JetStream(), eventAt("hq", visit.KindCheckedIn, at(0)))
	err := openHistory(t, s).Each(within(t, patience), admin.HistoryFilter{}, func(e admin.HistoryEntry) error {
		if e.Event.Person.FirstName != "Zmark" || e.Event.Source != nil || e.Event.FormAnswers != nil {
			t.Errorf("%+v", e.Event)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An operator who looks for a visitor still finds him.
func TestHistory_GoesOnBehindWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	forged := eventAt("hq", visit.KindCheckedOut, at(0))
	empty := recordAt("hq", at(0))
	forged.Data, empty.Data = []byte(`{"firstName":"Zmark"`), []byte(`{}`)
	store(t, s.JetStream(), forged, eventAt("hq", visit.KindCheckedIn, at(1)))
	store(t, s.JetStream(), empty)
	got := linesOf(t, openHistory(t, s), admin.HistoryFilter{})
	want := []string{
		"08:01 hq checked_in", // those that cannot be read stand where they were stored, which is today
		"hq checked_out: message 1 of stream VISITORS cannot be read",
		"hq check_in_request: message 1 of stream VISITOR_DECISIONS cannot be read",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What is read ahead to put entries in order is bounded: what was stored behind more
// than that comes late, and is not lost.
func TestHistory_ReadsTenThousandAheadAndNoMore(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	js := s.JetStream(nats.MaxReconnects(-1))
	const before = 10_050
	for n := range before {
		m := recordAt("hq", at(60).Add(time.Duration(n)*time.Second))
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
			t.Fatal(err)
		}
		if n%2000 == 0 {
			await(t, js.PublishAsyncComplete())
		}
	}
	await(t, js.PublishAsyncComplete())
	store(t, js, recordAt("lab", at(0)))
	var seen, place int
	err := openHistory(t, s).Each(within(t, patience), admin.HistoryFilter{}, func(e admin.HistoryEntry) error {
		if e.Site == "lab" {
			place = seen
		}
		seen++
		return nil
	})
	if err != nil || seen != before+1 || place != before-10_000 {
		t.Errorf("%d entries, the late one in place %d: %v", seen, place, err)
	}
}

func await(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("never done")
	}
}

// following is a History that is followed.
type following struct {
	entries, states chan string
	ended           chan error
	stop            context.CancelFunc
}

func follow(t *testing.T, h *admin.History, f admin.HistoryFilter) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	following := &following{make(chan string, 100), make(chan string, 100), make(chan error, 1), cancel}
	go func() {
		following.ended <- h.Follow(ctx, f, func(e admin.HistoryEntry) error {
			following.entries <- line(e)
			return nil
		}, func(err error) { following.states <- fmt.Sprint(err) })
	}()
	t.Cleanup(cancel)
	return following
}

// begun waits until nothing is missed any more.
func (f *following) begun(t *testing.T) {
	t.Helper()
	if got := next(t, f.states); got != "<nil>" {
		t.Fatal(got)
	}
}

// next is what comes next on a channel of texts.
func next(t *testing.T, texts <-chan string) string {
	t.Helper()
	select {
	case text := <-texts:
		return text
	case <-time.After(patience):
		t.Fatal("nothing came")
		return ""
	}
}

func TestHistoryFollow_ShowsWhatIsStoredFromNowOn(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	js := s.JetStream()
	store(t, js, eventAt("hq", visit.KindCheckedIn, at(-1)), recordAt("hq", at(-1)))
	f := follow(t, openHistory(t, s), admin.HistoryFilter{Site: "hq"})
	f.begun(t)
	store(t, js, eventAt("lab", visit.KindCheckedIn, at(2)), recordAt("hq", at(3)))
	if got := next(t, f.entries); got != "08:03 hq check_in_request" {
		t.Error(got)
	}
	store(t, js, eventAt("hq", visit.KindCheckedOut, at(4)))
	if got := next(t, f.entries); got != "08:04 hq checked_out" {
		t.Error(got)
	}
	f.stop()
	if err := <-f.ended; err != nil || len(f.states) > 0 {
		t.Error(err, len(f.states))
	}
}

func TestHistoryFollow_MissesAndDoublesNothingOverARestartOfNATS(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ready(t, s)
	f := follow(t, openHistory(t, s), admin.HistoryFilter{Site: "hq"})
	f.begun(t)
	s.Stop()
	if got := next(t, f.states); !strings.Contains(got, visit.ErrDisconnected.Error()) {
		t.Error(got)
	}
	s.Restart()
	store(t, s.JetStream(), eventAt("hq", visit.KindCheckedIn, at(5)), eventAt("hq", visit.KindCheckedIn, at(6)))
	for _, want := range []string{"08:05 hq checked_in", "08:06 hq checked_in"} {
		if got := next(t, f.entries); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := next(t, f.states); got != "<nil>" {
		t.Error(got)
	}
	store(t, s.JetStream(), recordAt("hq", at(7)))
	if got := next(t, f.entries); got != "08:07 hq check_in_request" {
		t.Error(got)
	}
}

// Such a stream counts from 1 again, below what was read, and may soon have more messages
// than were read.
func TestHistoryFollow_MissesNothingInAStreamThatIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, noticed := range map[string]bool{"between two polls": false, "while it was missed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			ready(t, s).Close(within(t, patience)) // it has made the streams, and makes none any more
			js := s.JetStream()
			store(t, js, eventAt("hq", visit.KindCheckedIn, at(1)))
			f := follow(t, openHistory(t, s), admin.HistoryFilter{Site: "hq"})
			f.begun(t)
			store(t, js, eventAt("hq", visit.KindCheckedIn, at(2)))
			if got := next(t, f.entries); got != "08:02 hq checked_in" { // the next poll comes later
				t.Error(got)
			}
			stream, err := js.Stream(within(t, patience), visit.DefaultEventStream)
			if err != nil {
				t.Fatal(err)
			}
			if err := js.DeleteStream(within(t, patience), visit.DefaultEventStream); err != nil {
				t.Fatal(err)
			}
			if noticed {
				if got := next(t, f.states); !strings.Contains(got, visit.ErrStreamMissing.Error()) {
					t.Error(got)
				}
			}
			if _, err := js.CreateStream(within(t, patience), stream.CachedInfo().Config); err != nil {
				t.Fatal(err)
			}
			if noticed {
				if got := next(t, f.states); got != "<nil>" { // it was empty then
					t.Error(got)
				}
			}
			for minute := 3; minute < 8; minute++ {
				store(t, js, eventAt("hq", visit.KindCheckedIn, at(minute)))
			}
			for minute := 3; minute < 8; minute++ {
				if got, want := next(t, f.entries), fmt.Sprintf("08:0%d hq checked_in", minute); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}

func TestHistory_SaysWhatItIsNotPermittedToRead(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "relay", Password: "secret"}, {Username: "operator", Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"$JS.API.DIRECT.GET.VISITOR_DECISIONS"}},
		}}}
	})
	ready(t, s, func(c *broker.Config) { c.NATS.Auth = dial.Auth{User: "relay", Password: always("secret")} })
	store(t, s.JetStream(nats.UserInfo("relay", "secret")), recordAt("hq", at(0)))
	h, err := admin.OpenHistory(admin.Config{NATS: dial.Config{Servers: []string{s.URL()}, Auth: dial.Auth{User: "operator", Password: always("secret")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	requests := admin.HistoryFilter{Kinds: []visit.Kind{visit.KindCheckInRequest}}
	if got := linesOf(t, h, requests); !slices.Equal(got, []string{"08:00 hq check_in_request"}) {
		t.Errorf("got %q", got)
	}
	err = h.Each(within(t, patience), admin.HistoryFilter{}, func(admin.HistoryEntry) error { return nil })
	if !errors.Is(err, visit.ErrDenied) || !strings.Contains(err.Error(), "$JS.API.DIRECT.GET.VISITORS") {
		t.Error(err)
	}
	f := follow(t, h, admin.HistoryFilter{})
	if err := <-f.ended; !errors.Is(err, visit.ErrDenied) {
		t.Error(err)
	}
}
