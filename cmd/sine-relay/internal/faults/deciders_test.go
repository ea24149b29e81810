//go:build linux && faults

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// roleDecider makes this binary a decider of the servers that follow it.
const roleDecider = "decider"

const (
	barred      = "Barred" // the last name of whoever may not come in
	atTheGate   = "the decider says no"
	deciderIsUp = "the decider answers"
)

// decide answers questions until the process ends.
func decide(servers string) error {
	nc, err := nats.Connect(servers, nats.UserInfo("audit", "audit"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), quiet)
	if err != nil {
		return err
	}
	cfg := subscriber.DeciderConfig{
		Sites: []string{"default"}, Version: "1.0.0",
		OnReady: func() { fmt.Println(deciderIsUp) },
	}
	return subscriber.Decide(context.Background(), nc, cfg, func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		if q.Person.LastName == barred {
			return visit.Decision{Verdict: visit.Reject, VisitorText: atTheGate}, nil
		}
		return visit.Decision{Verdict: visit.Accept}, nil
	})
}

// startDeciders runs processes that share the questions.
func (r *rig) startDeciders(count int) {
	r.t.Helper()
	var servers []string
	for _, n := range r.nodes {
		servers = append(servers, n.address())
	}
	for i := range count {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(cmd.Env, roleVariable+"="+roleDecider+":"+strings.Join(servers, ","))
		out := newOutput(r.t, fmt.Sprintf("decider-%d", i))
		p, err := launch(cmd, out)
		r.must(err)
		r.t.Cleanup(p.kill)
		r.must(await("a decider answers", func() bool { return strings.Contains(out.since(0), deciderIsUp) || !p.running() }))
		if !p.running() {
			r.t.Fatalf("the decider ended:\n%s", out.tail(10))
		}
		r.deciders = append(r.deciders, p)
	}
}
