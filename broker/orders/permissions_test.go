package orders_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// What the package comment says that its users need.
var (
	relayNeeds = []string{
		"$JS.API.STREAM.INFO.KV_VISITOR_ORDERS",
		"$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.*",
		"$JS.API.CONSUMER.MSG.NEXT.KV_VISITOR_ORDERS.*",
	}
	operatorNeeds = []string{
		"$JS.API.STREAM.INFO.KV_VISITOR_ORDERS",
		"$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.*.$KV.VISITOR_ORDERS.>",
		"$JS.API.CONSUMER.MSG.NEXT.KV_VISITOR_ORDERS.*",
		"$KV.VISITOR_ORDERS.>",
	}
	creatorNeeds = []string{"$JS.API.STREAM.CREATE.KV_VISITOR_ORDERS"}
)

const inboxes = "_INBOX.>"

// confined lets in a user "confined" who may publish to these subjects and
// subscribe to those, and another "team" who may do everything.
func confined(publish, subscribe []string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "confined", Password: "Zsecret", Permissions: &server.Permissions{
				// An empty list would allow everything.
				Publish:   &server.SubjectPermission{Allow: append([]string{"nothing"}, publish...)},
				Subscribe: &server.SubjectPermission{Allow: append([]string{"nothing"}, subscribe...)},
			}},
			{Username: "team", Password: "Zsecret"},
		}
	}
}

var (
	asConfined = nats.UserInfo("confined", "Zsecret")
	asTeam     = nats.UserInfo("team", "Zsecret")
)

// confinedTo is for a relay, which follows its sites alone.
func confinedTo(t *testing.T, s *natstest.Server) func(*orders.WatchConfig) {
	return func(c *orders.WatchConfig) {
		c.JetStream, c.Sites = jetStream(t, s, asConfined), []string{"hq", "branch"}
	}
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

func TestPermissions_AreDocumented(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("orders.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range slices.Concat(relayNeeds, operatorNeeds, creatorNeeds) {
		if !strings.Contains(string(source), "\n//\t"+subject+"\n") {
			t.Errorf("the package comment does not have %s", subject)
		}
	}
}

func TestPermissions_RelayNeedsNoMore(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(relayNeeds, []string{inboxes}))
	team := open(t, s, asTeam)
	put(t, team, lockdown("hq"))
	w := watch(t, s, confinedTo(t, s))
	sees(t, w, lockdown("hq"))
	put(t, team, lockdown("branch"))
	sees(t, w, lockdown("branch"), lockdown("hq"))
	if err := w.Status().Err; err != nil {
		t.Error(err)
	}
	b, err := orders.Open(within(t, patience), jetStream(t, s, asConfined), bucket, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(within(t, patience), override("hq")); !errors.Is(err, visit.ErrDenied) {
		t.Errorf("it could give orders: %v", err)
	}
}

func TestPermissions_RelayNeedsEach(t *testing.T) {
	t.Parallel()
	for _, missing := range append(slices.Clone(relayNeeds), inboxes) {
		t.Run(missing, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, confined(without(relayNeeds, missing), without([]string{inboxes}, missing)))
			put(t, open(t, s, asTeam), lockdown("hq"))
			var log logtest.Buffer
			w := watch(t, s, confinedTo(t, s), into(&log))
			refused := func() bool {
				err := w.Status().Err
				return errors.Is(err, visit.ErrDenied) && strings.HasSuffix(err.Error(), " "+missing)
			}
			eventually(t, "the status names the subject", refused)
			if all, known := w.Orders(); known || len(all) != 0 {
				t.Errorf("%v, known %v", all, known)
			}
			s.Stop()
			s.Restart(confined(relayNeeds, []string{inboxes}))
			sees(t, w, lockdown("hq"))
			follows(t, w)
			// What is known stays known.
			put(t, open(t, s, asTeam), lockdown("branch"))
			sees(t, w, lockdown("branch"), lockdown("hq"))
			s.Stop()
			s.Restart(confined(without(relayNeeds, missing), without([]string{inboxes}, missing)))
			eventually(t, "the status names the subject again", refused)
			sees(t, w, lockdown("branch"), lockdown("hq"))
			if !strings.Contains(log.String(), missing) {
				t.Errorf("not logged:\n%s", log.String())
			}
		})
	}
}

// Others use the connection too, and their refusals are not ours.
func TestPermissions_RefusalsOfOthersAreIgnored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(relayNeeds, []string{inboxes}))
	put(t, open(t, s, asTeam), lockdown("hq"))
	js := jetStream(t, s, asConfined)
	var log logtest.Buffer
	w := watch(t, s, func(c *orders.WatchConfig) { c.JetStream, c.Sites = js, []string{"hq", "branch"} }, into(&log))
	sees(t, w, lockdown("hq"))
	refuse := func(subject string) {
		if err := js.Conn().Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is refused", func() bool {
			err := js.Conn().LastError()
			return err != nil && strings.Contains(err.Error(), subject)
		})
	}
	refuse("visitors.v1.event.hq.checked_in")
	refuse("$JS.API.CONSUMER.CREATE.VISITORS.badges")
	refuse("$KV.OTHER.lockdown.all")
	refuse("$JS.API.STREAM.INFO.KV_OTHER")
	refuse("$JS.API.INFO")
	put(t, open(t, s, asTeam), lockdown("branch"))
	sees(t, w, lockdown("branch"), lockdown("hq"))
	if strings.Contains(log.String(), "cannot watch standing orders") {
		t.Errorf("it took them for its own:\n%s", log.String())
	}
}

func TestWatch_WithoutJetStreamNothingIsKnown(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
	w := watch(t, s)
	eventually(t, "the status says why", func() bool {
		return errors.Is(w.Status().Err, nats.ErrNoResponders)
	})
	if all, known := w.Orders(); known || len(all) != 0 {
		t.Errorf("%v, known %v", all, known)
	}
}
