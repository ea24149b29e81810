package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// withUser gives the server a user "relay" with the permissions, and another
// "team" who may do everything.
func withUser(p *server.Permissions) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "relay", Password: "Zsecret", Permissions: p},
			{Username: "team", Password: "Zsecret"},
		}
	}
}

func asRelay(c *broker.Config) { c.NATS.Auth = dial.Auth{User: "relay", Password: always("Zsecret")} }

var asTeam = nats.UserInfo("team", "Zsecret")

func TestTrap_AViolationArrivesOnlyAtTheErrorHandler(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, withUser(&server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"visitors.v1.ask.>"}},
	}))
	b := ready(t, s, asRelay)
	start := time.Now()
	_, err := b.Ask(within(t, patience), question())
	if !errors.Is(err, visit.ErrDenied) || time.Since(start) > atOnce {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestPermissions_DeniedInboxIsReportedAndRecovers(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, withUser(&server.Permissions{
		Subscribe: &server.SubjectPermission{Deny: []string{"_INBOX_SINE_RELAY.>"}},
	}))
	b := connectTo(t, s, asRelay)
	decide(t, s.Connect(asTeam), func(m *nats.Msg) { m.Respond([]byte(`{"decision":"accept"}`)) })
	awaitFault(t, b, "connection check_in_requests: permission denied by NATS: inbox")
	awaitFault(t, b, "allow the relay's user to subscribe to _INBOX_SINE_RELAY.>")
	awaitFault(t, b, "connection events: permission denied")
	start := time.Now()
	_, askErr := b.Ask(within(t, patience), question())
	_, publishErr := b.Publish(within(t, patience), event("1"))
	if !errors.Is(askErr, visit.ErrDenied) || !errors.Is(publishErr, visit.ErrDenied) || time.Since(start) > atOnce {
		t.Errorf("%v, %v after %s", askErr, publishErr, time.Since(start))
	}
	s.Stop()
	s.Restart(withUser(nil))
	awaitReady(t, b)
	eventually(t, "the decider is back", func() bool {
		_, err := b.Ask(within(t, patience), question())
		return err == nil
	})
}

func TestPermissions_DeniedAskNamesTheSubject(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, withUser(&server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"visitors.v1.ask.>"}},
	}))
	cfg := broker.Config{NATS: dial.Config{Servers: []string{s.URL()}}}
	asRelay(&cfg)
	d, err := broker.OpenAsker(within(t, patience), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if trouble := d.Trouble(); trouble != "" {
		t.Errorf("trouble before anything was asked: %s", trouble)
	}
	_, err = d.Ask(within(t, patience), question())
	if !errors.Is(err, visit.ErrDenied) || !strings.Contains(d.Trouble(), question().Subject) {
		t.Errorf("%v, trouble %q", err, d.Trouble())
	}
}

// The operator is told within seconds, and not when the command's minute is over.
func TestRecords_DeniedReadFailsSoon(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, withUser(&server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.DIRECT.>"}},
	}))
	cfg := broker.Config{NATS: dial.Config{Servers: []string{s.URL()}}}
	asRelay(&cfg)
	start := time.Now()
	_, err := admin.FindRecords(within(t, patience), command(cfg), "K7Q2M", start)
	if !errors.Is(err, visit.ErrDenied) || !strings.Contains(err.Error(), "DIRECT.GET.VISITOR_DECISIONS") || time.Since(start) > patience/2 {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}
