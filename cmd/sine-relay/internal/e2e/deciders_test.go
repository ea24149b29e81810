package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// Whoever floods the search for deciders is named, and does not make it look as if
// nobody decides.
func TestDeciders_FloodedDiscoveryIsReported(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	flood := server.Connect()
	text := []byte(strings.Repeat("x", 900<<10))
	if _, err := flood.Subscribe("$SRV.STATS.>", func(m *nats.Msg) {
		for range 20 {
			m.Respond(text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := flood.Flush(); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	eventually(t, "the relay says so", func() bool {
		_, lines := p.get("/readyz?verbose")
		return strings.Contains(lines, "search for deciders: ") && strings.Contains(lines, "somebody may be missing")
	})
	_, metrics := p.get("/metrics")
	for _, want := range []string{"sine_relay_deciders_known 0", `sine_relay_decider_discovery_ignored_total{reason="too_many"} 1`} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	eventually(t, "the command says so", func() bool {
		_, out, _ := commandLine(environ, "deciders")
		return strings.Contains(out, "In the search, ") && strings.Contains(out, "somebody may be missing")
	})
	p.must(200, "SUCCESS", webhook("signin_after", noon, "Ada"))
}

// Where NATS lets a user hear no answer, that is no proof that nobody decides.
func TestDeciders_DiscoveryWithoutInboxPermissionFails(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
	settings := append(s.settings("relay"), "NATS_INBOX_PREFIX=_INBOX_X")
	code, out, errOut := commandLine(environment(settings...), "deciders")
	if code != exitFailed || !strings.Contains(errOut, "allow the user to subscribe to _INBOX.>, or be an operator") || strings.Contains(out, "Nobody") {
		t.Errorf("ended with %d:\n%s%s", code, out, errOut)
	}
}

// In a pod the user is the relay's, which may not subscribe to an operator's inbox.
func TestDeciders_AndAskHearInTheRelaysInbox(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
	nc := s.connect("decider")
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		cfg := subscriber.DeciderConfig{Sites: []string{"hq"}, Version: "1.2.3", OnReady: func() { close(ready) }}
		ended <- subscriber.Decide(ctx, nc, cfg, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			return visit.Decision{Verdict: visit.Accept}, nil
		})
	}()
	<-ready
	for _, user := range []string{"relay", "operator"} {
		environ := environment(s.settings(user)...)
		found := regexp.MustCompile(`- +hq +default +\w+ +1\.2\.3`)
		eventually(t, "the decider is found", func() bool { // a search ends after a silence, which a busy machine may have
			_, out, _ := commandLine(environ, "deciders")
			return found.MatchString(out)
		})
		must(t, environ, `reason +all: default accepted`, "ask", "--site", "hq")
	}
	fails(t, environment(s.settings("operator")...), "in force", "lockdown", "--wait", "0s", "--site", "hq", "--unknown-site", "--message", "Fire")
	for _, user := range []string{"relay", "operator"} {
		endsWith(t, exitFailed, environment(s.settings(user)...), "rejected by lockdown of hq", "ask", "--site", "hq")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// NATS counts a request that is delivered to several subscriptions of one connection
// against its permission to reply. That must not hide whoever decides.
func TestDeciders_AllThatShareAConnectionAreSeen(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
	nc := s.connect("decider")
	ctx, stop := context.WithCancel(context.Background())
	const programs = 16 // as many as the documentation of Decide promises
	ended := make(chan error, programs)
	for range programs {
		ready := make(chan struct{})
		go func() {
			cfg := subscriber.DeciderConfig{Sites: []string{"hq"}, Version: "1.2.3", OnReady: func() { close(ready) }}
			ended <- subscriber.Decide(ctx, nc, cfg, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
				return visit.Decision{Verdict: visit.Accept}, nil
			})
		}()
		<-ready
	}
	// A search ends after a silence, which a busy machine may have.
	eventually(t, "all are seen", func() bool {
		_, out, _ := commandLine(environment(s.settings("operator")...), "deciders")
		return strings.Count(out, " 1.2.3 ") == programs
	})
	stop()
	for range programs {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := nc.LastError(); err != nil {
		t.Error(err)
	}
}

// An operator's machine has an address of NATS and no settings of the webhook.
func TestDeciders_NeedNoSettingOfTheWebhook(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	bare := environment("NATS_URL=" + server.URL())
	code, out, _ := commandLine(bare, "deciders")
	if code != exitFailed || !strings.Contains(out, "Nobody answers") {
		t.Errorf("without a decider: ended with %d:\n%s", code, out)
	}
	decideAt(t, server, "default", acceptAll)
	// A search ends after a silence, which a busy machine may have.
	found := regexp.MustCompile(`(?s)- +default +default +\w+ +1\.2\.3.*No integration is configured here`)
	eventually(t, "the decider is found", func() bool {
		_, out, _ := commandLine(bare, "deciders")
		return found.MatchString(out)
	})

	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte("integrations:\n- {name: lobby, site: default}\n- {name: dock, site: hq}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := commandLine(append(bare, "SINE_RELAY_INTEGRATIONS_FILE="+file), "deciders")
	if code != exitFailed || !regexp.MustCompile(`(?s)lobby +default +default +\w+ +1\.2\.3.*dock +hq +default +nobody.*Nobody answers for dock/default`).MatchString(out) {
		t.Errorf("with integrations and no keys: ended with %d:\n%s%s", code, out, errOut)
	}
}
