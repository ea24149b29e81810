package desk_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/desk"
	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

func audits(t *testing.T, d *desk.Desk, from, to time.Time) (all []visit.Audit) {
	t.Helper()
	err := d.Audits(within(t, patience), from, to, func(a visit.Audit) error {
		all = append(all, a)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAudit_IsStoredOnceAndRead(t *testing.T) {
	t.Parallel()
	d := deskOn(t, natstest.Start(t))
	now := time.Now()
	if all := audits(t, d.Desk, now.Add(-time.Hour), time.Time{}); all != nil {
		t.Errorf("before there is a stream: %+v", all)
	}
	one, two, three := entry("hq", visit.ActionReveal, now.Add(-2*time.Second)), entry(visit.AllSites, visit.ActionLockdown, now.Add(-time.Second)), entry("hq", visit.ActionExport, now)
	for _, a := range []visit.Audit{one, two, one, three} {
		if err := d.Audit(within(t, patience), a); err != nil {
			t.Fatal(err)
		}
	}
	if all := audits(t, d.Desk, now.Add(-time.Hour), time.Time{}); !slices.Equal(all, []visit.Audit{one, two, three}) {
		t.Errorf("%+v", all)
	}
	if all := audits(t, d.Desk, two.Time, three.Time); !slices.Equal(all, []visit.Audit{two}) {
		t.Errorf("in the window: %+v", all)
	}
}

// Whoever sends a form must not be able to have a text stored, which is shown to others.
func TestAudit_AnEntryWithATextIsNotStored(t *testing.T) {
	t.Parallel()
	d := deskOn(t, natstest.Start(t))
	for name, subject := range map[string]string{"a text": "Ada Zlovelace", "a long one": strings.Repeat("x", 56<<10)} {
		a := entry("hq", visit.ActionLockdown, time.Now())
		a.Subject = subject
		if err := d.Audit(within(t, patience), a); err == nil || strings.Contains(err.Error(), "Zlovelace") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all := audits(t, d.Desk, time.Now().Add(-time.Hour), time.Time{}); all != nil {
		t.Errorf("%+v", all)
	}
}

func TestAudit_TheStreamLosesNothing(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	if err := deskOn(t, s).Audit(within(t, patience), entry("hq", visit.ActionReveal, time.Now())); err != nil {
		t.Fatal(err)
	}
	stream, err := s.JetStream().Stream(within(t, patience), visit.DefaultAuditStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	if cfg.Storage != jetstream.FileStorage || cfg.MaxAge != 400*24*time.Hour || cfg.Discard != jetstream.DiscardNew || !slices.Equal(cfg.Subjects, []string{"visitors.v1.audit.>"}) {
		t.Errorf("%+v", cfg)
	}
}

// A desk that could not write down who saw a name must not show it: the error is what
// tells.
func TestAudit_WhatIsNotStoredIsAnError(t *testing.T) {
	t.Parallel()
	publish := []string{"visitors.v1.audit.*.*", "$JS.API.DIRECT.GET.VISITOR_DESK"}
	for name, c := range map[string]struct {
		may      []string
		existing *jetstream.StreamConfig
		is       error
		says     string
	}{
		"the user may not publish":                  {publish[1:], nil, visit.ErrDenied, "visitors.v1.audit.hq.reveal"},
		"no stream, and the user may not create it": {publish, nil, visit.ErrStreamMissing, "deploy/nats/streams/VISITOR_DESK.json"},
		"another stream has the subjects": {append(publish, "$JS.API.STREAM.CREATE.VISITOR_DESK"),
			&jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"visitors.>"}}, nil, "overlap"},
		"the stream is full": {publish,
			&jetstream.StreamConfig{Name: visit.DefaultAuditStream, Subjects: []string{"visitors.v1.audit.>"}, MaxBytes: 10, Discard: jetstream.DiscardNew}, visit.ErrStreamFull, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, confined(c.may, []string{"_INBOX.>"}))
			if c.existing != nil {
				if _, err := s.JetStream(teamUser).CreateStream(within(t, patience), *c.existing); err != nil {
					t.Fatal(err)
				}
			}
			begun := time.Now()
			err := deskOn(t, s).Audit(within(t, patience), entry("hq", visit.ActionReveal, time.Now()))
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || time.Since(begun) > patience/2 {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
	}
}

// What is not the desk's own is not shown as if somebody had done it.
func TestAudit_PassesOverWhatOthersStored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	d := deskOn(t, s)
	own := entry("hq", visit.ActionReveal, time.Now())
	if err := d.Audit(within(t, patience), own); err != nil {
		t.Fatal(err)
	}
	elsewhere := own
	elsewhere.Site = "lab"
	m, err := elsewhere.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	js := s.JetStream()
	for _, garbage := range []struct{ subject, data string }{
		{"visitors.v1.audit.hq.reveal", "{"}, {"visitors.v1.audit.hq.reveal", `{"type":"io.nats.jetstream.api.v1.stream_info_response"}`},
		{"visitors.v1.audit.hq.reveal", string(m.Data)}, {"visitors.v1.audit.lab.reveal", string(m.Data)}, // the latter without the header
		{"visitors.v1.audit", ""},
	} {
		if _, err := js.Publish(within(t, patience), garbage.subject, []byte(garbage.data)); err != nil && garbage.data != "" {
			t.Fatal(err)
		}
	}
	if all := audits(t, d.Desk, own.Time, time.Time{}); !slices.Equal(all, []visit.Audit{own}) {
		t.Errorf("%+v", all)
	}
	if got := d.counted(t, visit.DefaultAuditStream); got != 4 {
		t.Errorf("%v were passed over", got)
	}
	if log := d.log.String(); !strings.Contains(log, "passed over") || strings.Contains(log, "ann@") {
		t.Errorf("logged: %s", log)
	}
}

// In `dev` nobody makes the stream but the desk.
func TestAudit_TheDeskOfTheEmbeddedNATSMakesItsStream(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	var log logtest.Buffer
	d, err := desk.Open(desk.Config{Logger: log.Text(), Config: admin.Config{NATS: dial.Config{
		Servers: []string{s.URL()}, Auth: dial.Auth{User: embedded.UserDesk, Password: func() string { return s.Password(embedded.UserDesk) }},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	eventually(t, "it is connected", func() bool { return d.Connected() == nil })
	own := entry("hq", visit.ActionReveal, time.Now())
	if err := d.Audit(within(t, patience), own); err != nil {
		t.Fatal(err)
	}
	if all := audits(t, d, own.Time, time.Time{}); !slices.Equal(all, []visit.Audit{own}) {
		t.Errorf("%+v", all)
	}
}
