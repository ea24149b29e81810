package main

import (
	"testing"

	"github.com/sine-relay/sine-relay/broker/brokertest"
)

// Which of two verdicts a reader of JSON takes is chance: a decider that says
// both has decided nothing, and lets nobody in.
func TestAReplyWithBothVerdictsIsNoDecision(t *testing.T) {
	s := brokertest.Start(t)
	d := newPuppet(t, s, "visitors.v1.ask.lobby.default")
	p := runDoor(t, integrationsOf(t, []fields{{"name": "lobby"}}), "NATS_URL="+s.URL())
	replies := map[string]string{
		"the acceptance last":         `{"decision":"reject","visitorText":"No","decision":"accept"}`,
		"the rejection last":          `{"decision":"accept","visitorText":"No","decision":"reject"}`,
		"the second in other letters": `{"decision":"reject","visitorText":"No","Decision":"accept"}`,
	}
	answers := map[string]told{}
	for name, reply := range replies {
		answered := make(chan told)
		go func() { answered <- p.visitor("lobby", webhook("signin_before", noon, "Ada")) }()
		d.take(t, 1)[0].Respond([]byte(reply))
		answers[name] = <-answered
	}
	stored := records(t, s.JetStream(), len(replies))
	for name, got := range answers {
		if r := stored[got.id]; r.Situation != "bad_reply" {
			t.Errorf("%s: %s, answered %s", name, r.Rule, got.body)
		}
	}
}
