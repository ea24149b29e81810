package e2e

import (
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// Which of two verdicts a reader of JSON takes is chance. So one rejection among
// them rejects, and two acceptances are none.
func TestAReplyWithTwoVerdictsLetsNobodyIn(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	d := newPuppet(t, s, "visitors.v1.ask.lobby.default")
	p := runDoor(t, integrationsOf(t, []fields{{"name": "lobby"}}), "NATS_URL="+s.URL())
	replies := map[string]struct{ reply, situation string }{
		"the acceptance last":         {`{"decision":"reject","visitorText":"No","decision":"accept"}`, "decided"},
		"the rejection last":          {`{"decision":"accept","visitorText":"No","decision":"reject"}`, "decided"},
		"the second in other letters": {`{"decision":"reject","visitorText":"No","Decision":"accept"}`, "decided"},
		"two acceptances":             {`{"decision":"accept","visitorText":"Yes","Decision":"accept"}`, "bad_reply"},
	}
	answers := map[string]told{}
	for name, c := range replies {
		answered := make(chan told)
		go func() { answered <- p.visitor("lobby", webhook("signin_before", noon, "Ada")) }()
		d.take(t, 1)[0].Respond([]byte(c.reply))
		answers[name] = <-answered
	}
	stored := records(t, s.JetStream(), len(replies))
	for name, got := range answers {
		if r := stored[got.id]; r.Situation != replies[name].situation || r.Verdict != visit.Reject {
			t.Errorf("%s: %s, answered %s", name, r.Rule, got.body)
		}
	}
}
