package main

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/brokertest"
)

// Whoever floods the search for deciders is named, and does not make it look as if
// nobody decides.
func TestAFloodedSearchForDecidersIsSaid(t *testing.T) {
	server := brokertest.Start(t)
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
	for _, want := range []string{"sine_relay_deciders_known 0", `sine_relay_discovery_ignored_total{reason="too_many"} 1`} {
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

// The relay's own user cannot hear who answers an operator. That is no proof that
// nobody decides.
func TestASearchForDecidersThatHearsNobodySaysSo(t *testing.T) {
	s := setStage(t, natsDir+"nats.conf")
	code, out, errOut := commandLine(environment(append(s.settings("relay"), "KEYS="+testKey)...), "deciders")
	if code != exitFailed || !strings.Contains(errOut, "allow the user to subscribe to _INBOX.>, or be an operator") || strings.Contains(out, "nobody") {
		t.Errorf("ended with %d:\n%s%s", code, out, errOut)
	}
}
