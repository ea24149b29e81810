package cli

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// storeEvents makes the event stream, with events that have empty fields.
func storeEvents(t *testing.T, js jetstream.JetStream, ids ...string) {
	t.Helper()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: visit.DefaultEventStream, Subjects: []string{visit.Subjects{}.All(visit.RootEvent)}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		e := visit.Event{ID: id, Kind: visit.KindCheckedIn, Source: visit.Source(`{"event":"signin_after","data":{"firstName":"Ada"}}`)}
		e.Site, e.Integration, e.Received = "default", relay.DefaultIntegration, time.Now()
		m, err := e.Message(visit.Subjects{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
			t.Fatal(err)
		}
	}
}

// found is a run that has found the stored events to be corrected.
func found(t *testing.T, s *natstest.Server, submit bool) *rederivation {
	t.Helper()
	settings, err := config.LoadIntegrations([]string{"SINE_RELAY_NATS_URL=" + s.URL(), "SINE_RELAY_SITE=default"})
	if err != nil {
		t.Fatal(err)
	}
	r := &rederivation{since: time.Now().Add(-time.Hour), submit: submit, currents: map[string]current{}, result: newRederived()}
	if r.reader, err = relay.NewReader(settings.Integrations, server.Limits(settings)); err != nil {
		t.Fatal(err)
	}
	if r.events, err = admin.OpenEvents(admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.events.Close)
	if err := r.find(t.Context(), newProgress(t.Output())); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRederive_WhatIsDeletedMeanwhileIsNotCorrected(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	js := s.JetStream()
	storeEvents(t, js, "e1", "e2")
	r := found(t, s, true)
	stream, err := js.Stream(t.Context(), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := r.correct(t.Context(), newProgress(t.Output())); err != nil || r.result.Stored != 1 || len(r.result.Unread) != 1 || r.result.Unread[0] != (unreadCount{reasonDeleted, 1}) {
		t.Errorf("%v: %+v", err, r.result)
	}

	// A stream that is made anew has other messages under the numbers.
	r = found(t, s, true)
	if err := js.DeleteStream(t.Context(), visit.DefaultEventStream); err != nil {
		t.Fatal(err)
	}
	storeEvents(t, js, "e3", "e4", "e5")
	r.currents["e0"] = current{id: "e0", sequence: 1, differs: true}
	if err := r.correct(t.Context(), newProgress(t.Output())); err != nil || r.result.Stored != 0 || r.result.Unread[0] != (unreadCount{reasonDeleted, 1}) {
		t.Errorf("%v: %+v", err, r.result)
	}
}

// An operator who interrupts the command learns what was left.
func TestRederive_AnInterruptionLeavesTheRest(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	storeEvents(t, s.JetStream(), "e1", "e2")
	r := found(t, s, false)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if err := r.correct(ctx, newProgress(t.Output())); err == nil || err.Error() != "2 events left for the next run, which stores nothing twice: context canceled" || len(r.result.Events) != 0 {
		t.Errorf("%v: %+v", err, r.result)
	}
	s.Stop()
	if err := r.correct(t.Context(), newProgress(t.Output())); err == nil {
		t.Error("without a server there is no error")
	}
}
