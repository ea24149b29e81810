package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// createStream creates the event stream as the relay would, but for a change.
func createStream(t *testing.T, s *natstest.Server, change func(*jetstream.StreamConfig), o ...nats.Option) {
	t.Helper()
	c := jetstream.StreamConfig{
		Name: "VISITORS", Subjects: []string{"visitors.v1.event.>"}, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew, MaxBytes: 8 << 20, MaxAge: 30 * 24 * time.Hour, Duplicates: 24 * time.Hour, Replicas: 1,
	}
	change(&c)
	if _, err := s.JetStream(o...).CreateStream(within(t, patience), c); err != nil {
		t.Fatal(err)
	}
}

func TestStream_IsCreatedWhenAbsent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	js := s.JetStream()
	for name, subject := range map[string]string{"VISITORS": "visitors.v1.event.>", "VISITOR_QUARANTINE": "visitors.v1.quarantine.>"} {
		stream, err := js.Stream(within(t, patience), name)
		if err != nil {
			t.Fatal(err)
		}
		c := stream.CachedInfo().Config
		if len(c.Subjects) != 1 || c.Subjects[0] != subject || c.Storage != jetstream.FileStorage || c.Discard != jetstream.DiscardNew ||
			c.MaxBytes != 8<<20 || c.MaxAge != 30*24*time.Hour || c.Duplicates != 24*time.Hour || c.Replicas != 1 ||
			c.Retention != jetstream.LimitsPolicy || c.Description == "" || c.PersistMode != jetstream.DefaultPersistMode {
			t.Errorf("%s: %+v", name, c)
		}
	}
	for _, one := range b.Status().Streams {
		if len(one.Drift) > 0 || one.Fault != nil || one.Pending != nil || !one.Verified {
			t.Errorf("what was created is found unfit: %+v", one)
		}
	}
}

// NATS takes the files of a deleted stream away after it has forgotten it: a new
// stream must not be there yet.
func TestTrap_ADeletedStreamIsNotMadeAnewAtOnce(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s)
	js, deleted := s.JetStream(), time.Now()
	if err := js.DeleteStream(within(t, patience), "VISITORS"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(within(t, patience), event("a")); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(within(t, patience), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	if after := stream.CachedInfo().Created.Sub(deleted); after < 500*time.Millisecond {
		t.Errorf("it was there again after %s", after)
	}
}

func TestStream_UnusableConfigurationIsReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   string
	}{
		"memory":             {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "stream VISITORS: storage is memory, wanted file"},
		"one site only":      {func(c *jetstream.StreamConfig) { c.Subjects = []string{"visitors.v1.event.hq.>"} }, "subjects is visitors.v1.event.hq.>, wanted visitors.v1.event.>"},
		"one level only":     {func(c *jetstream.StreamConfig) { c.Subjects = []string{"visitors.v1.event.*"} }, "subjects is visitors.v1.event.*"},
		"other subjects":     {func(c *jetstream.StreamConfig) { c.Subjects = []string{"other.>"} }, "nats stream edit VISITORS --subjects 'visitors.v1.event.>'"},
		"small messages":     {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1024 }, "max_msg_size is 1024, wanted at least 790528"},
		"no acknowledgement": {func(c *jetstream.StreamConfig) { c.NoAck = true }, "no_ack is true"},
		"interest":           {func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, "retention is interest"},
		"async persistence":  {func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, "persist_mode is async"},
		"covers questions":   {func(c *jetstream.StreamConfig) { c.Subjects = []string{"visitors.v1.>"} }, "overlap visitors.v1.ask.>"},
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Start(t)
			createStream(t, s, c.change)
			b := connectTo(t, s)
			awaitFault(t, b, c.want)
			if b.Status().Verified {
				t.Error("verified all the same")
			}
		})
	}
}

func TestStream_SealedOneIsUnusable(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	createStream(t, s, func(*jetstream.StreamConfig) {})
	js := s.JetStream()
	stream, err := js.Stream(within(t, patience), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	c.Sealed = true
	if _, err := js.UpdateStream(within(t, patience), c); err != nil {
		t.Fatal(err)
	}
	awaitFault(t, connectTo(t, s), "sealed is true, wanted false")
}

func TestTrap_AStreamThatCoversTheQuestionsWouldAnswerThem(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"visitors.v1.ask.>", "visitors.>", "*.v1.ask.hq.watchlist", "visitors.v1.ask.hq.*"} {
		s := natstest.Start(t)
		createStream(t, s, func(c *jetstream.StreamConfig) {
			c.Name, c.Subjects = "SOMEBODYS", []string{subject}
			c.NoAck = strings.HasPrefix(subject, "*") // else the server itself refuses
		})
		b := connectTo(t, s)
		awaitFault(t, b, "SOMEBODYS: its subjects must not overlap visitors.v1.ask.>")
		// The last line of defence.
		if subject == "visitors.v1.ask.>" {
			if _, err := b.Ask(within(t, 200*time.Millisecond), question()); !errors.Is(err, visit.ErrTimeout) {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestStream_DeniedOverlapCheckIsNoError(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, withUser(&server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.NAMES"}},
	}))
	ready(t, s, asRelay)
}

func TestStream_FailedCreationIsReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options func(*server.Options)
		want    string
	}{
		"not permitted to look":   {withUser(&server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.INFO.>"}}}), "publish to $JS.API.STREAM.INFO.VISITORS"},
		"not permitted to create": {cannotCreate, "nats stream add VISITORS --subjects 'visitors.v1.event.>' --storage file"},
		"no room":                 {func(o *server.Options) { withUser(nil)(o); o.JetStreamMaxStore = 1 << 20 }, "raise max_file_store"},
		"no JetStream":            {func(o *server.Options) { withUser(nil)(o); o.JetStream = false }, "enable JetStream"},
		"no JetStream for the account": {func(o *server.Options) {
			account := server.NewAccount("RELAY")
			o.Accounts = []*server.Account{account}
			withUser(nil)(o)
			o.Users[0].Account = account
		}, "enable JetStream"},
		"small payloads": {func(o *server.Options) { withUser(nil)(o); o.MaxPayload = 64 << 10 }, "raise max_payload"},
	} {
		t.Run(name, func(t *testing.T) {
			awaitFault(t, connectTo(t, natstest.Start(t, c.options), asRelay), c.want)
		})
	}
}

func TestStream_BecomesUsableOnceCorrected(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	createStream(t, s, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1024 })
	b := connectTo(t, s)
	awaitFault(t, b, "max_msg_size")
	js := s.JetStream()
	stream, err := js.Stream(within(t, patience), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	c.MaxMsgSize = -1
	if _, err := js.UpdateStream(within(t, patience), c); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, b)
}

func TestStream_MoreReplicasThanServersIsReported(t *testing.T) {
	t.Parallel()
	b := connectTo(t, natstest.Start(t), func(c *broker.Config) { c.Streams.Replicas = 3 })
	awaitFault(t, b, "lower the 3 replicas")
}
