package subscriber_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// documented are the permissions that the comment of Events names.
func documented() []string {
	return []string{
		"$JS.API.CONSUMER.CREATE.VISITORS.badges.visitors.v1.event.hq.>",
		"$JS.API.CONSUMER.INFO.VISITORS.badges",
		"$JS.API.CONSUMER.MSG.NEXT.VISITORS.badges",
		"$JS.ACK.VISITORS.badges.>",
	}
}

// confined is a server with a user "team" that may publish to and subscribe to
// these subjects only, and may reply when it may publish nothing.
func confined(t *testing.T, publish, subscribe []string) *site {
	t.Helper()
	var replies *server.ResponsePermission // it would cover acknowledgements too
	if len(publish) == 0 {
		replies = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
		publish = []string{"nothing"}
	}
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "x"}, {
			Username: "team", Password: "x",
			Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: publish},
				Subscribe: &server.SubjectPermission{Allow: subscribe},
				Response:  replies,
			},
		}}
	})
	return withStream(t, s, nats.UserInfo("admin", "x"))
}

func asTeam() nats.Option { return nats.UserInfo("team", "x") }

func TestPermissions_ATeamIsConfinedToOneSite(t *testing.T) {
	t.Parallel()
	s := confined(t, documented(), []string{"_INBOX.>"})
	s.store(t, "lab", "lab", 1)
	s.store(t, "hq", "hq", 1)
	js := s.JetStream(asTeam())
	for range 2 { // the second finds the durable
		ids := make(chan string, 10)
		r := runEvents(t, js, subscriber.EventsConfig{Site: "hq"}, collect(ids))
		if got := next(t, ids); got != "hq-0" {
			t.Error(got)
		}
		r.stop(t)
		s.store(t, "hq", "hq", 1)
	}
	for name, cfg := range map[string]subscriber.EventsConfig{
		"another site": {Site: "lab"},
		"every site":   {},
		"another name": {Site: "hq", Durable: "cards"},
		"every kind":   {Kind: visit.KindCheckedIn},
	} {
		err := runEvents(t, s.JetStream(asTeam()), cfg, nil).wait(t)
		if !errors.Is(err, subscriber.ErrDenied) || !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", name, err)
		}
		contains(t, err, "$JS.API.CONSUMER.CREATE.VISITORS.")
	}
}

// The server refuses these without an answer; only waiting would be left.
func TestPermissions_AMissingOneIsNamed(t *testing.T) {
	t.Parallel()
	p, inbox := documented(), []string{"_INBOX.>"}
	for name, c := range map[string]struct {
		publish, subscribe []string
		want               string
	}{
		"to pull":             {[]string{p[0], p[1], p[3]}, inbox, "CONSUMER.MSG.NEXT.VISITORS.badges"},
		"to acknowledge":      {p[:3], inbox, "$JS.ACK.VISITORS.badges."},
		"to receive answers":  {p, []string{"_INBOX_team.>"}, "_INBOX."},
		"to do anything else": {[]string{"x"}, inbox, "CONSUMER.CREATE.VISITORS.badges"},
	} {
		s := confined(t, c.publish, c.subscribe)
		s.store(t, "hq", "a", 1)
		ids := make(chan string, 100)
		err := runEvents(t, s.JetStream(asTeam()), subscriber.EventsConfig{Site: "hq"}, collect(ids)).wait(t)
		if !errors.Is(err, subscriber.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
		contains(t, err, c.want)
	}
}

// A durable that exists and waits for another time is looked at.
func TestPermissions_AMissingOneToReadTheDurableIsNamed(t *testing.T) {
	t.Parallel()
	p := documented()
	s := confined(t, []string{p[0], p[2], p[3]}, []string{"_INBOX.>"})
	s.store(t, "hq", "a", 1)
	ids := make(chan string, 10)
	first := runEvents(t, s.JetStream(asTeam()), subscriber.EventsConfig{Site: "hq"}, collect(ids))
	next(t, ids)
	first.stop(t)
	err := runEvents(t, s.JetStream(asTeam()), subscriber.EventsConfig{Site: "hq", AckWait: time.Minute}, collect(ids)).wait(t)
	if !errors.Is(err, subscriber.ErrDenied) {
		t.Errorf("%v", err)
	}
	contains(t, err, "CONSUMER.INFO.VISITORS.badges")
}

// Nobody chose the limit that an older program's durable has.
func TestPermissions_ATeamMayRaiseTheLimitOfItsDurable(t *testing.T) {
	t.Parallel()
	s := confined(t, documented(), []string{"_INBOX.>"})
	s.durable(t, func(c *jetstream.ConsumerConfig) { c.FilterSubject = "visitors.v1.event.hq.>" })
	s.store(t, "hq", "a", 1)
	ids := make(chan string, 10)
	r := runEvents(t, s.JetStream(asTeam()), subscriber.EventsConfig{Site: "hq"}, collect(ids))
	next(t, ids)
	r.stop(t)
	if got := s.consumer(t, "badges").Config.MaxAckPending; got != -1 {
		t.Errorf("the limit is %d", got)
	}
}

// A new durable needs no permission to be found.
func TestPermissions_UndetectableStallsAreReportedAndEndNothing(t *testing.T) {
	t.Parallel()
	p := documented()
	s := confined(t, []string{p[0], p[2], p[3]}, []string{"_INBOX.>"})
	ids := make(chan string, 10)
	r := runEvents(t, s.JetStream(asTeam()), subscriber.EventsConfig{Site: "hq", StallAfter: 10 * time.Millisecond}, collect(ids))
	err := next(t, r.errors)
	if !errors.Is(err, subscriber.ErrDenied) {
		t.Errorf("%v", err)
	}
	contains(t, err, "cannot detect stalls of badges", "CONSUMER.INFO.VISITORS.badges")
	s.store(t, "hq", "a", 1)
	next(t, ids)
	r.stop(t)
}

// A team that may make no durable receives from the one that somebody made for it.
func TestPermissions_BindOnlyNeedsNoneToCreateADurable(t *testing.T) {
	t.Parallel()
	p := documented()
	s := confined(t, p[1:], []string{"_INBOX.>"})
	s.store(t, "hq", "hq", 1)
	cfg := subscriber.EventsConfig{Site: "hq", BindOnly: true}
	err := runEvents(t, s.JetStream(asTeam()), cfg, nil).wait(t)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("before there is one: %v", err)
	}
	if _, err := s.JetStream(nats.UserInfo("admin", "x")).CreateConsumer(t.Context(), visit.DefaultEventStream, jetstream.ConsumerConfig{
		Durable: "badges", FilterSubject: "visitors.v1.event.hq.>", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	ids := make(chan string, 10)
	js := s.JetStream(asTeam())
	r := runEvents(t, js, cfg, collect(ids))
	if got := next(t, ids); got != "hq-0" {
		t.Error(got)
	}
	r.stop(t)
	if err := js.Conn().LastError(); err != nil {
		t.Errorf("it tried what it may not: %v", err)
	}
	cfg.Site = "lab"
	if err := runEvents(t, s.JetStream(asTeam()), cfg, nil).wait(t); !errors.Is(err, subscriber.ErrDurableMismatch) {
		t.Errorf("another site: %v", err)
	}
}

func TestPermissions_ATeamMayHaveItsOwnInbox(t *testing.T) {
	t.Parallel()
	s := confined(t, documented(), []string{"_INBOX_team.>"})
	s.store(t, "hq", "a", 1)
	ids := make(chan string, 10)
	r := runEvents(t, s.JetStream(asTeam(), nats.CustomInboxPrefix("_INBOX_team")), subscriber.EventsConfig{Site: "hq"}, collect(ids))
	next(t, ids)
	r.stop(t)
}

func TestPermissions_ADeciderThatMayNotSubscribeIsDenied(t *testing.T) {
	t.Parallel()
	s := confined(t, nil, []string{"$SRV.>", "visitors.v1.ask.hq.default"})
	cfg := subscriber.DeciderConfig{Sites: []string{"lab"}, Version: "1.0.0"}
	err := runDecide(t, s.Connect(asTeam()), cfg, accept).wait(t)
	if !errors.Is(err, subscriber.ErrDenied) {
		t.Errorf("%v", err)
	}
	contains(t, err, "visitors.v1.ask.lab.default")
}

func TestPermissions_DocumentedOnesSufficeForADecider(t *testing.T) {
	t.Parallel()
	s := confined(t, nil, []string{"$SRV.>", "visitors.v1.ask.hq.default"})
	r := runDecide(t, s.Connect(asTeam()), subscriber.DeciderConfig{Sites: []string{"hq"}, Version: "1.0.0"}, accept)
	if d := s.ask(t, "hq", "default"); d.Verdict != visit.Accept {
		t.Errorf("%+v", d)
	}
	r.stop(t)
}

// It goes on: a permission may be granted while it runs.
func TestPermissions_ADeciderThatMayNotReplyOrBeDiscoveredReportsIt(t *testing.T) {
	t.Parallel()
	asks := []string{"visitors.v1.ask.hq.default"}
	for name, c := range map[string]struct {
		publish, subscribe []string
		want               []string
	}{
		"not answer":  {[]string{"nothing"}, append(asks, "$SRV.>"), []string{"allow_responses", `Publish to "_INBOX.`}},
		"not be seen": {nil, asks, []string{"discovery", `Subscription to "$SRV.`}},
	} {
		s := confined(t, c.publish, c.subscribe)
		r := runDecide(t, s.Connect(asTeam()), subscriber.DeciderConfig{Sites: []string{"hq"}, Version: "1.0.0"}, accept)
		asking, admin := visit.Subjects{}.Ask("hq", "default"), s.Connect(nats.UserInfo("admin", "x"))
		var said error
		eventually(t, name, func() bool {
			// The right to answer is for one answer to each inbox.
			question := &nats.Msg{Subject: asking, Reply: nats.NewInbox(), Data: []byte("{}")}
			if err := admin.PublishMsg(question); err != nil {
				t.Fatal(err)
			}
			select {
			case said = <-r.errors:
				return errors.Is(said, subscriber.ErrDenied)
			default:
				return false
			}
		})
		contains(t, said, c.want...)
		r.stop(t)
	}
}
