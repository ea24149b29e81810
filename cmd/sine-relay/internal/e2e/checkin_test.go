package e2e

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// decideAt runs a decider until the test ends.
func decideAt(t *testing.T, s *natstest.Server, name string, decide func(visit.CheckInRequest) visit.Decision) (stop func()) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan struct{})
	nc := s.Connect()
	go func() {
		defer close(ended)
		cfg := subscriber.DeciderConfig{Sites: []string{"default"}, Decider: name, Version: "1.2.3", OnReady: func() { close(ready) }}
		err := subscriber.Decide(ctx, nc, cfg, func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) { return decide(q), nil })
		if err != nil {
			t.Error(err)
		}
	}()
	<-ready
	stop = func() { end(); <-ended }
	t.Cleanup(stop)
	return stop
}

func acceptAll(visit.CheckInRequest) visit.Decision { return visit.Decision{Verdict: visit.Accept} }

// must runs a command and returns what it printed, which must match.
func must(t *testing.T, environ []string, want string, args ...string) string {
	t.Helper()
	code, out, errOut := commandLine(environ, args...)
	if code != exitOK || !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("%v ended with %d:\n%s%s\nwant %s", args, code, out, errOut, want)
	}
	return out
}

func TestOrders_LockdownAndOverrideReachEveryRelay(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	one := runServe(t, "NATS_URL="+server.URL()).ready()
	two := runServe(t, "NATS_URL="+server.URL(), "STATE_DIR="+t.TempDir()).ready()
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	both := func(what, contains string) {
		t.Helper()
		for _, p := range []*program{one, two} {
			eventually(t, what, func() bool {
				_, text, err := p.post(webhook("signin_before", noon, "Ada"))
				return err == nil && strings.Contains(text, contains)
			})
		}
	}
	both("nobody decides", "REJECTED")
	if code, _, errOut := commandLine(environ, "lockdown", "--site", "defualt"); code != exitFailed || !strings.Contains(errOut, "no integration has site defualt") || !strings.Contains(errOut, "sites are default") {
		t.Errorf("a site that is none: ended with %d, %s", code, errOut)
	}
	must(t, environ, `(?s)Override of site default is in force until .*Obeyed by 2 relays: `, "override", "--site", "default", "--accept", "--for", "30m", "--reason", "the decider is sick")
	both("the override is obeyed", "SUCCESS")
	must(t, environ, `(?s)Lockdown of all sites is in force until it is lifted.*Obeyed by 2 relays: `, "lockdown", "--all-sites", "--message", "Gas leak", "--by", "ops")
	both("the lockdown is obeyed", "Gas leak")
	must(t, environ, `(?s)lockdown +all sites +until it is lifted .* ops .*Gas leak.*override +default +until .*2 of 2 relays.*RELAY.*ready +known +\d+ +lockdown of all sites, override of site default`, "orders")
	for _, p := range []*program{one, two} {
		if _, body := p.get("/readyz?verbose"); !strings.Contains(body, `orders: lockdown of all sites in force, given by "ops"`) {
			t.Errorf("readiness:\n%s", body)
		}
		if _, metrics := p.get("/metrics"); !strings.Contains(metrics, `sine_relay_standing_order_in_force{site="*",type="lockdown"} 1`) || !strings.Contains(metrics, "\nsine_relay_standing_orders_known 1\n") {
			t.Error("the metrics do not say so")
		}
	}
	must(t, environ, `lifted`, "lockdown", "lift", "--all-sites")
	both("the override is obeyed again", "SUCCESS")
	fails(t, environ, `nothing was lifted: there is no lockdown of all sites in the bucket, and of the relays that answered \(2\) none obeys one\n$`, "lockdown", "lift", "--all-sites")
	fails(t, environ, `there is no lockdown of site defalt in the bucket, and no integration has it; sites are default`, "lockdown", "lift", "--site", "defalt")
	must(t, environ, `lifted`, "override", "lift", "--site", "default")
	both("nobody decides again", "REJECTED")
}

func TestOrders_InvalidArgumentsAreUsageErrors(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	for name, c := range map[string]struct{ args, want string }{
		"no site":                        {"lockdown --message x", "either --site or --all-sites"},
		"a site and all":                 {"lockdown --site hq --all-sites", "either --site or --all-sites"},
		"a site that is no name":         {"lockdown --site a.b", "site must be"},
		"an override without a duration": {"override --site hq --accept --reason x", "requires a time at which it ends"},
		"an override without a reason":   {"override --site hq --accept --for 1h", "requires a reason"},
		"an override that is not meant":  {"override --site hq --for 1h --reason x", "--accept is missing"},
		"a word too many":                {"lockdown hq", `takes no arguments, but has "hq"`},
	} {
		code, _, errOut := commandLine(environ, strings.Fields(c.args)...)
		if code != exitUsage || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: ended with %d: %s", name, code, errOut)
		}
	}
}

// A visitor reads the reference out, and the operator learns who decided.
func TestExplain_ShowsWhoDecided(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	decideAt(t, server, "default", func(q visit.CheckInRequest) visit.Decision {
		return visit.Decision{Verdict: visit.Reject, VisitorText: "Zmark is not expected"}
	})
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	p.must(200, "REJECTED", webhook("signin_before", noon, "Zmark"))
	id := regexp.MustCompile(`"msg":"webhook","id":"(\w+)"`).FindStringSubmatch(p.out.String())[1]
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	var out string
	eventually(t, "there is a record", func() bool {
		var code int
		code, out, _ = commandLine(environ, "explain", strings.ToLower(visit.Reference(id)))
		return code == exitOK
	})
	if !regexp.MustCompile(`(?s)request +`+id+`.*response +reject, after .*reason +all: default rejected.*policy +[0-9a-f]{12}.*default +reject +decided +[0-9.]+ ms `).MatchString(out) || strings.Contains(out, "Zmark") {
		t.Errorf("explained as:\n%s", out)
	}
	if code, _, errOut := commandLine(environ, "explain", "22222"); code != exitFailed || !strings.Contains(errOut, "no record of 22222") {
		t.Errorf("an unknown reference: %d %s", code, errOut)
	}
	if code, _, errOut := commandLine(environ, "explain", "22"); code != exitUsage || !strings.Contains(errOut, "is not a reference") {
		t.Errorf("half a reference: %d %s", code, errOut)
	}
}

func TestDeciders_CommandListsThoseThatReply(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	code, out, _ := commandLine(environ, "deciders")
	if code != exitFailed || !strings.Contains(out, "Nobody answers for default/default") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	stop := decideAt(t, server, "default", acceptAll)
	p.must(200, "SUCCESS", webhook("signin_before", noon, "Ada"))
	must(t, environ, `default +default +\w+ +1\.2\.3 +1 +0 +0 +0 +0 `, "deciders")
	stop()
	if code, _, _ := commandLine(environ, "deciders"); code != exitFailed {
		t.Errorf("ended with %d", code)
	}
}

// The relay cannot count an answer that the package does not send.
func TestDeciders_CommandCountsExpiredAndLateReplies(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL(), "DECISION_BUDGET=300ms").ready()
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	leave := make(chan bool)
	decideAt(t, server, "default", func(visit.CheckInRequest) visit.Decision {
		<-leave
		return visit.Decision{Verdict: visit.Accept}
	})
	p.must(200, "REJECTED", webhook("signin_before", noon, "Ada"))
	eventually(t, "it is expired", func() bool {
		_, out, _ := commandLine(environ, "deciders")
		return regexp.MustCompile(`1\.2\.3 +0 +0 +1 +0 +0 +[1-9]\d\S* ms `).MatchString(out)
	})
	close(leave)
	eventually(t, "it is late", func() bool {
		_, out, _ := commandLine(environ, "deciders")
		return regexp.MustCompile(`1\.2\.3 +0 +0 +1 +1 +0 `).MatchString(out)
	})
}

// Which of two verdicts a reader of JSON takes is chance. So one rejection among
// them rejects, and two acceptances are none.
func TestDecision_ReplyWithTwoVerdictsNeverAccepts(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	d := newFakeDecider(t, s, "visitors.v1.ask.lobby.default")
	p := runIntegrations(t, integrationsOf(t, []fields{{"name": "lobby"}}), "NATS_URL="+s.URL())
	replies := map[string]struct{ reply, situation string }{
		"the acceptance last":         {`{"decision":"reject","visitorText":"No","decision":"accept"}`, "decided"},
		"the rejection last":          {`{"decision":"accept","visitorText":"No","decision":"reject"}`, "decided"},
		"the second in other letters": {`{"decision":"reject","visitorText":"No","Decision":"accept"}`, "decided"},
		"two acceptances":             {`{"decision":"accept","visitorText":"Yes","Decision":"accept"}`, "bad_reply"},
	}
	answers := map[string]response{}
	for name, c := range replies {
		answered := make(chan response)
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
