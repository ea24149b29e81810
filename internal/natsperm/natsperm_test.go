package natsperm_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/natsperm"
)

// confined returns a connection whose user may do nothing but what is listed.
func confined(t *testing.T) *nats.Conn {
	t.Helper()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"open"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"open"}},
		}}}
	})
	return s.Connect(nats.UserInfo("u", "p"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
}

func TestLast_NamesWhatTheServerRefused(t *testing.T) {
	nc := confined(t)
	if v, ok := natsperm.Last(nc); ok {
		t.Errorf("%+v before anything was refused", v)
	}
	for _, c := range []struct {
		name string
		do   func() error
		want natsperm.Violation
	}{
		{"a publication", func() error { return nc.Publish("closed.a", nil) }, natsperm.Violation{Operation: natsperm.Publish, Subject: "closed.a"}},
		{"a subscription", func() error { _, err := nc.SubscribeSync("closed.b"); return err }, natsperm.Violation{Operation: natsperm.Subscribe, Subject: "closed.b"}},
		{"a subscription of a queue", func() error { _, err := nc.QueueSubscribeSync("closed.c", "q"); return err }, natsperm.Violation{Operation: natsperm.Subscribe, Subject: "closed.c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := errors.Join(c.do(), nc.FlushTimeout(30*time.Second)); err != nil {
				t.Fatal(err)
			}
			v, ok := natsperm.Last(nc)
			if !ok || v.Operation != c.want.Operation || v.Subject != c.want.Subject || !errors.Is(v.Err, nats.ErrPermissionViolation) {
				t.Errorf("%+v %v", v, ok)
			}
			if _, ok := natsperm.LastOf(nc, "another"); ok {
				t.Error("it is taken for the refusal of another subject")
			}
		})
	}
}

func TestParse_OtherErrorsAreNoRefusals(t *testing.T) {
	for _, err := range []error{nil, nats.ErrTimeout, errors.New(`Permissions Violation for Publish to "x"`), nats.ErrPermissionViolation} {
		if v, ok := natsperm.Parse(err); ok {
			t.Errorf("%v: %+v", err, v)
		}
	}
}

func TestInbox_IsTheConnectionsOwn(t *testing.T) {
	s := natstest.Start(t)
	if p := natsperm.Inbox(s.Connect()); p != "_INBOX." {
		t.Error(p)
	}
	if p := natsperm.Inbox(s.Connect(nats.CustomInboxPrefix("_INBOX_x"))); p != "_INBOX_x." {
		t.Error(p)
	}
}
