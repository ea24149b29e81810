//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/broker/brokertest"
)

func TestWithASpoolNothingIsRefusedWhileNATSIsLost(t *testing.T) {
	server := brokertest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL(), "SPOOL_DIR="+t.TempDir()).ready()
	server.Stop()
	var all sync.WaitGroup
	for sender := range 4 {
		all.Go(func() {
			for i := range 25 {
				code, text, err := p.post(webhook("signin_after", noon, fmt.Sprintf("Ada %d-%d", sender, i)))
				if code != 200 || !strings.Contains(text, "eventId") {
					t.Errorf("answered %d %s %v", code, text, err)
				}
			}
		})
	}
	all.Wait()
	p.must(200, "REJECTED", "nonsense") // kept, and answered like a visitor
	_, metrics := p.get("/metrics")
	if !strings.Contains(metrics, `sine_relay_facts_settled_total{integration="default",result="spooled"} 100`) {
		t.Error("the ledger does not say so")
	}
	server.Restart()
	eventually(t, "all are stored", func() bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, "sine_relay_spool_drained_total 101") && strings.Contains(metrics, "sine_relay_spool_messages 0")
	})
	if ids := stored(t, server.JetStream()); len(ids) != 100 {
		t.Errorf("%d events are stored", len(ids))
	}
}

// What was answered 200 is in the stream or in the spool, whenever the relay is
// killed, and a volume that it leaves behind can be emptied.
func TestAKilledRelayLosesNothing(t *testing.T) {
	binary := build(t)
	server := brokertest.Start(t)
	dir := t.TempDir()
	p := startProcess(t, binary, "NATS_URL="+server.URL(), "SPOOL_DIR="+dir)
	client := &program{t: t, webhook: webhookOf(t, p)}
	var mu sync.Mutex
	answered := map[string]bool{}
	var senders sync.WaitGroup
	for sender := range 8 {
		senders.Go(func() {
			for i := 0; ; i++ {
				code, text, err := client.post(webhook("signin_after", noon, fmt.Sprintf("%d-%d", sender, i)))
				if err != nil {
					return // killed
				}
				var answer struct{ EventID string }
				if code != http.StatusOK || json.Unmarshal([]byte(text), &answer) != nil {
					t.Errorf("answered %d %s", code, text)
					return
				}
				mu.Lock()
				answered[answer.EventID] = true
				mu.Unlock()
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(answered) }
	eventually(t, "some are stored", func() bool { return count() > 200 })
	server.Stop()
	at := count()
	eventually(t, "some are spooled", func() bool { return count() > at+200 })
	p.Process.Kill()
	senders.Wait()
	p.Wait()

	code, listed, errOut := commandLine(nil, "spool", "ls", dir)
	if code != exitOK || !strings.Contains(listed, "visitors.v1.event.default.checked_in") || strings.Contains(listed, "Ada") {
		t.Errorf("spool ls: %d %s %s", code, listed[:min(300, len(listed))], errOut)
	}
	server.Restart()
	code, out, errOut := commandLine(environment("NATS_URL="+server.URL(), "KEYS="+testKey), "spool", "drain", dir)
	if code != exitOK || !strings.Contains(out, ", 0 wait.") {
		t.Fatalf("spool drain: %d %s %s", code, out, errOut)
	}
	ids := stored(t, server.JetStream())
	for id := range answered {
		if ids[id] != 1 {
			t.Errorf("%s was answered 200 and is stored %d times", id, ids[id])
		}
	}
}

// webhookOf reads the address from the line that is logged at the start.
func webhookOf(t *testing.T, p *process) string {
	t.Helper()
	for line := range strings.Lines(p.out.String()) {
		var start struct{ Msg, Listen string }
		if json.Unmarshal([]byte(line), &start) == nil && start.Msg == "sine-relay" {
			return "http://" + start.Listen + "/sine/default"
		}
	}
	t.Fatal("no address")
	return ""
}

func TestASpoolCommandRefuses(t *testing.T) {
	server := brokertest.Start(t)
	dir := t.TempDir()
	runServe(t, "NATS_URL="+server.URL(), "SPOOL_DIR="+dir).ready()
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a spool that a relay has open", []string{"spool", "ls", dir}, exitFailed, "in use"},
		{"to drain one that a relay has open", []string{"spool", "drain", dir}, exitFailed, "in use"},
		{"a directory without a spool", []string{"spool", "ls", t.TempDir()}, exitFailed, "no such file"},
		{"no directory", []string{"spool", "ls"}, exitUsage, "usage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errOut := commandLine(environment("NATS_URL="+server.URL(), "KEYS="+testKey), c.args...)
			if code != c.code || !strings.Contains(errOut, c.want) {
				t.Errorf("ended with %d: %s%s\nwant %d and %s", code, out, errOut, c.code, c.want)
			}
		})
	}
}
