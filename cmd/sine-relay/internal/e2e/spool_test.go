//go:build unix

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

func TestSpool_NoEventIsRefusedWhileNATSIsDown(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
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
	if !strings.Contains(metrics, `sine_relay_events_settled_total{integration="default",result="spooled"} 100`) {
		t.Error("the ledger does not say so")
	}
	server.Restart()
	eventually(t, "all are stored", func() bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, "sine_relay_spool_forwarded_total 102") && strings.Contains(metrics, "sine_relay_spool_messages 0")
	})
	if ids := stored(t, server.JetStream()); len(ids) != 100 {
		t.Errorf("%d events are stored", len(ids))
	}
}

// What was answered 200 is in the stream or in the spool, whenever the relay is
// killed, and a volume that it leaves behind can be emptied.
func TestSpool_KilledRelayLosesNoEvent(t *testing.T) {
	t.Parallel()
	binary := build(t)
	server := natstest.Start(t)
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
	<-p.ended

	code, listed, errOut := commandLine(nil, "spool", "ls", "--dir", dir)
	if code != exitOK || !strings.Contains(listed, "visitors.v1.event.default.checked_in") || strings.Contains(listed, "Ada") {
		t.Errorf("spool ls: %d %s %s", code, listed[:min(300, len(listed))], errOut)
	}
	server.Restart()
	code, out, errOut := commandLine(environment("NATS_URL="+server.URL(), "KEYS="+testKey), "spool", "drain", "--dir", dir)
	if code != exitOK || !strings.Contains(out, ", 0 left.") {
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

func TestSpool_CommandFailsWithAReasonAndExitCode(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	dir := t.TempDir()
	runServe(t, "NATS_URL="+server.URL(), "SPOOL_DIR="+dir).ready()
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a spool that a relay has open", []string{"spool", "ls", "--dir", dir}, exitFailed, "in use"},
		{"to drain one that a relay has open", []string{"spool", "drain", "--dir", dir}, exitFailed, "in use"},
		{"a directory without a spool", []string{"spool", "ls", "--dir", t.TempDir()}, exitFailed, "no such file"},
		{"no directory", []string{"spool", "ls"}, exitUsage, "--dir is missing"},
		{"a directory without its flag", []string{"spool", "ls", dir}, exitUsage, "takes no arguments"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errOut := commandLine(environment("NATS_URL="+server.URL(), "KEYS="+testKey), c.args...)
			if code != c.code || !strings.Contains(errOut, c.want) {
				t.Errorf("ended with %d: %s%s\nwant %d and %s", code, out, errOut, c.code, c.want)
			}
		})
	}
}

// A disk that fails must not stop check-in: the relay goes on without a spool
// where there was one, and says so. A directory that never was one is a slip.
func TestSpool_RelayServesWithoutAnUnopenableOne(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	dir := t.TempDir()
	spoil := func() {
		t.Helper()
		os.Remove(filepath.Join(dir, "spool.lock"))
		if err := os.MkdirAll(filepath.Join(dir, "spool.lock"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	settings := []string{"NATS_URL=" + server.URL(), "SPOOL_DIR=" + dir}
	spoil()
	code, _, errOut := commandLine(environment(append(settings, "LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "KEYS="+testKey)...), "serve")
	if code != exitFailed || !strings.Contains(errOut, "SINE_RELAY_SPOOL_DIR: open spool "+dir) {
		t.Errorf("a directory that never was a spool: ended with %d: %s", code, errOut)
	}
	if err := os.Remove(filepath.Join(dir, "spool.lock")); err != nil {
		t.Fatal(err)
	}
	runServe(t, settings...).ready().end()

	spoil()
	p := runServe(t, settings...)
	eventually(t, "it is up", func() bool { code, _ := p.get("/readyz"); return code == http.StatusOK })
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	if _, body := p.get("/readyz?verbose"); !strings.HasPrefix(body, "degraded") || !strings.Contains(body, "events are not spooled: open spool") {
		t.Errorf("readiness: %s", body)
	}
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, "\nsine_relay_spool_usable 0\n") {
		t.Error("the metric does not say so")
	}
	server.Stop()
	eventually(t, "events are refused", func() bool { code, _, _ := p.post(webhook("signin_after", noon, "Bob")); return code == 503 })

	if err := os.Remove(filepath.Join(dir, "spool.lock")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "events are spooled", func() bool { code, _, _ := p.post(webhook("signin_after", noon, "Cleo")); return code == 200 })
	if _, body := p.get("/readyz?verbose"); strings.Contains(body, "events are not spooled") {
		t.Errorf("readiness: %s", body)
	}
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, "\nsine_relay_spool_usable 1\n") {
		t.Error("the metric does not say so")
	}
}

// A directory that cannot be looked at may hold visitors: the relay starts, and
// sends them once it can.
func TestSpool_InaccessibleDirectoryIsForwardedLater(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	server.Stop()
	dir := filepath.Join(t.TempDir(), "spool")
	settings := []string{"NATS_URL=" + server.URL(), "SPOOL_DIR=" + dir}
	p := runServe(t, settings...)
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	p.end()
	if err := errors.Join(os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	p = runServe(t, settings...)
	if _, body := p.get("/readyz?verbose"); !strings.Contains(body, "events are not spooled: open spool") {
		t.Errorf("readiness: %s", body)
	}
	server.Restart()
	eventually(t, "it is up", func() bool { code, _ := p.get("/readyz"); return code == http.StatusOK })
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what waited is sent", func() bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, "\nsine_relay_spool_recovered_total 1\n") && strings.Contains(metrics, "\nsine_relay_spool_forwarded_total 1\n")
	})
	if ids := stored(t, server.JetStream()); len(ids) != 1 {
		t.Errorf("%d events are stored", len(ids))
	}
}

// removeSegments deletes the files in which a spool keeps its messages.
func removeSegments(dir string) error {
	segments, err := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, path := range segments {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// What was answered 200 is found by the next relay, whatever was done to the files.
func TestSpool_EventsSurviveRemovalOfItsFiles(t *testing.T) {
	t.Parallel()
	binary := build(t)
	server := natstest.Start(t)
	dir := filepath.Join(t.TempDir(), "spool")
	p := startProcess(t, binary, "NATS_URL="+server.URL(), "SPOOL_DIR="+dir)
	server.Stop()
	client := &program{t: t, webhook: webhookOf(t, p)}
	waiting := 0
	post := func() {
		t.Helper()
		client.must(200, "eventId", webhook("signin_after", noon, fmt.Sprint(waiting)))
		waiting++
	}
	post()
	for name, harm := range map[string]func() error{
		"the file is removed":      func() error { return removeSegments(dir) },
		"the lock is removed":      func() error { return os.Remove(filepath.Join(dir, "spool.lock")) },
		"the directory is removed": func() error { return errors.Join(os.Rename(dir, dir+".gone"), os.RemoveAll(dir+".gone")) },
		"the directory is renamed": func() error { return os.Rename(dir, dir+".away") },
	} {
		if err := harm(); err != nil {
			t.Fatal(name, err)
		}
		post()
		if code, _, errOut := commandLine(nil, "spool", "ls", "--dir", dir); code != exitFailed || !strings.Contains(errOut, "in use") {
			t.Errorf("%s: another opens it: %d %s", name, code, errOut)
		}
	}
	p.Process.Kill()
	<-p.ended
	code, listed, errOut := commandLine(nil, "spool", "ls", "--dir", dir)
	if code != exitOK || !strings.Contains(listed, fmt.Sprintf("%d messages in the spool", waiting)) {
		t.Errorf("spool ls: %d %s %s, want %d", code, listed, errOut, waiting)
	}
	if out := p.out.String(); !strings.Contains(out, "were removed, replaced or damaged while it was open") {
		t.Error("the log does not say so")
	}
}

func TestSpool_LimitAboveTheDiskSizeIsWarnedOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for limit, said := range map[string]bool{"1000000GiB": true, "1MiB": false} {
		settings := []string{"NATS_URL=nats://127.0.0.1:1", "SPOOL_DIR=" + dir, "SPOOL_MAX_BYTES=" + limit}
		want := "bytes may wait in " + dir + ", for which its disk should have twice as much"
		code, out, errOut := commandLine(environment(append(settings, "KEYS="+testKey)...), "config", "check")
		if code != exitOK || strings.Contains(out, "warning: SINE_RELAY_SPOOL_MAX_BYTES: ") != said || strings.Contains(out, want) != said {
			t.Errorf("%s: config check ends with %d: %s%s", limit, code, out, errOut)
		}
		p := runServe(t, settings...)
		if log := p.out.String() + p.err.String(); strings.Contains(log, want) != said {
			t.Errorf("%s: the start says %s", limit, log)
		}
		p.end()
	}
}

func TestSpool_DamageIsReported(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000001.log"), []byte("not a spool"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL(), "SPOOL_DIR="+dir)
	eventually(t, "it is up", func() bool { code, _ := p.get("/readyz"); return code == http.StatusOK })
	eventually(t, "it says so", func() bool {
		_, body := p.get("/readyz?verbose")
		return strings.HasPrefix(body, "degraded") && strings.Contains(body, "the spool was damaged") && strings.Contains(body, "0000000000000001.log.damaged-")
	})
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, "\nsine_relay_spool_damaged 1\n") {
		t.Error("the metric does not say so")
	}
}
