package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// decider answers for the integration "default" until the test ends.
func decider(t *testing.T, nats *natstest.Server, decide func(context.Context, visit.CheckInRequest) (visit.Decision, error)) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	nc, ready := nats.Connect(), make(chan struct{})
	go func() {
		ended <- subscriber.Decide(ctx, nc, subscriber.DeciderConfig{
			Sites: []string{"default"}, Version: "1.0.0", OnReady: func() { close(ready) },
		}, decide)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(patience):
		t.Fatal("the decider is not ready")
	}
}

func TestServe_StoresEventsAndRelaysDecisions(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	decider(t, server, func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		if q.Person.FirstName == "Mallory" {
			return visit.Decision{Verdict: visit.Reject, VisitorText: "Not today"}, nil
		}
		return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome"}, nil
	})
	p.must(200, `"visitorNotes":"Welcome"`, webhook("signin_before", noon, "Ada"))
	p.must(200, `"message":"Not today"`, webhook("signin_before", noon, "Mallory"))

	body := webhook("signin_after", noon, "Ada") + "\r\n "
	p.must(200, `"eventId"`, body)
	p.must(200, `"eventId"`, webhook("signout_after", noon, "Ada"))

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var seen []visit.Event
	err := subscriber.Events(ctx, server.JetStream(), subscriber.EventsConfig{Durable: "test", Site: "default"},
		func(_ context.Context, e visit.Event) error {
			if seen = append(seen, e); len(seen) == 2 {
				stop()
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if seen[0].Kind != visit.KindCheckedIn || string(seen[0].Source) != body || seen[0].Person.FirstName != "Ada" {
		t.Errorf("the check-in came as %+v", seen[0])
	}
	if seen[1].Kind != visit.KindCheckedOut || seen[1].Cause != visit.CauseUnknown {
		t.Errorf("the check-out came as %+v", seen[1])
	}
	if code := p.end(); code != exitOK {
		t.Errorf("it ended with %d: %s", code, p.err.String())
	}
}

func TestDuplicate_ConcurrentRepeatsAreStoredOnce(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	other := runServe(t, "NATS_URL="+server.URL()).ready()
	var all sync.WaitGroup
	for visitor := range 10 {
		for range 4 {
			for _, relay := range []*program{p, other} {
				all.Go(func() {
					code, text, err := relay.post(webhook("signin_after", noon, fmt.Sprint("Ada ", visitor)))
					if code != 200 || err != nil {
						t.Errorf("%d %s %v", code, text, err)
					}
				})
			}
		}
	}
	// The same person, with nothing to tell two visits apart by: both count.
	for range 2 {
		p.must(200, "eventId", `{"event":"signin_after","data":{"firstName":"Grace"}}`)
	}
	all.Wait()
	ids := stored(t, server.JetStream())
	if len(ids) != 12 {
		t.Errorf("%d events are stored, want 12", len(ids))
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s is stored %d times", id, n)
		}
	}
}

// Draining NATS under load would fail what is stored all the same; so the last
// answer comes before it.
func TestTrap_AStopUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	var mu sync.Mutex
	answered := map[string]bool{}
	var senders sync.WaitGroup
	var sent atomic.Int64
	for sender := range 8 {
		senders.Go(func() {
			for i := 0; ; i++ {
				code, text, err := p.post(webhook("signin_after", noon, fmt.Sprintf("%d-%d", sender, i)))
				if err != nil {
					return // the listener is closed
				}
				var answer struct{ EventID string }
				if code != 200 || json.Unmarshal([]byte(text), &answer) != nil {
					t.Errorf("answered %d %s", code, text)
					return
				}
				mu.Lock()
				answered[answer.EventID] = true
				mu.Unlock()
				sent.Add(1)
			}
		})
	}
	eventually(t, "some load", func() bool { return sent.Load() > 200 })
	if code := p.end(); code != exitOK {
		t.Errorf("it ended with %d: %s", code, p.err.String())
	}
	senders.Wait()
	ids := stored(t, server.JetStream())
	for id := range answered {
		if ids[id] != 1 {
			t.Errorf("%s was answered 200 and is stored %d times", id, ids[id])
		}
	}
}

func TestEmbedded_EventsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := runServe(t, "NATS_STORE_DIR="+dir, "NATS_LISTEN=127.0.0.1:0").ready()
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	p.must(200, "REJECTED", webhook("signin_before", noon, "Ada")) // nobody decides
	p.end()

	again := runServe(t, "NATS_STORE_DIR="+dir, "NATS_LISTEN=127.0.0.1:0").ready()
	again.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	_, metrics := again.get("/metrics")
	if !strings.Contains(metrics, `sine_relay_events_settled_total{integration="default",result="duplicate"} 1`) {
		t.Error("the second run did not find what the first stored")
	}
	if info, err := os.Stat(filepath.Join(dir, "nats-passwords", "relay")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the password's file: %v %v", info, err)
	}
}

func TestConnection_LossDegradesTheRelay(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL(), "STORE_BUDGET=100ms").ready()
	server.Stop()
	eventually(t, "it says degraded", func() bool {
		code, body := p.get("/readyz")
		return code == 200 && strings.HasPrefix(body, "degraded")
	})
	p.must(200, "no connection", webhook("signin_before", noon, "Ada"))
	p.must(503, "UNAVAILABLE", webhook("signin_after", noon, "Ada"))
	if code, _ := p.get("/livez"); code != 200 {
		t.Error("a relay without NATS is to be killed")
	}
	server.Restart()
	p.ready()
	// On a busy machine NATS may take longer than the budget.
	eventually(t, "events are stored again", func() bool {
		code, body, err := p.post(webhook("signin_after", noon, "Ada"))
		return err == nil && code == 200 && strings.Contains(body, "eventId")
	})
	if ids := stored(t, server.JetStream()); len(ids) != 1 {
		t.Errorf("%d events are stored, want the one that was answered 200", len(ids))
	}
}

func TestStream_UnusableOneKeepsTheRelayUnready(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, err := server.JetStream().CreateStream(context.Background(), jetstream.StreamConfig{
		Name: "VISITORS", Subjects: []string{"visitors.v1.event.>"}, Storage: jetstream.MemoryStorage,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL())
	eventually(t, "it says why", func() bool {
		code, body := p.get("/readyz")
		return code == 503 && strings.Contains(body, "VISITORS") && strings.Contains(body, "memory")
	})
}

func TestTrap_AStreamOverTheQuestionsKeepsItUnready(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, err := server.JetStream().CreateStream(context.Background(), jetstream.StreamConfig{Name: "EVERYTHING", Subjects: []string{"visitors.v1.ask.*.*"}})
	if err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL())
	eventually(t, "it says why", func() bool {
		code, body := p.get("/readyz")
		return code == 503 && strings.Contains(body, "EVERYTHING")
	})
	p.must(200, "REJECTED", webhook("signin_before", noon, "Ada")) // an acknowledgement is no decision
}

func TestServe_PublicListenerUsesTLS(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	cert, key, pool := certificate(t)
	p := runServe(t, "NATS_URL="+server.URL(), "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key).ready()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: pool}}
	req, _ := http.NewRequest("POST", strings.Replace(p.webhook, "http:", "https:", 1), strings.NewReader(webhook("signin_after", noon, "Ada")))
	req.Header.Set("x-sine-auth", testKey)
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Errorf("answered %d", answer.StatusCode)
	}
}

func TestMetrics_OfARunningRelayPassTheLinter(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	p.must(200, "REJECTED", webhook("signin_before", noon, "Ada"))
	_, metrics := p.get("/metrics")
	problems, err := promlint.New(strings.NewReader(metrics)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "sine_relay_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	for _, want := range []string{"sine_relay_build_info{", `sine_relay_nats_connected{connection="check_in_requests"} 1`, `sine_relay_decider_requests_total{decider="default",integration="default",result="no_decider"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestPrivacy_NoPersonalDataInLogsAndMetrics(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL(), "LOG_LEVEL=debug", "STORE_BUDGET=100ms").ready()
	decider(t, server, func(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		return visit.Decision{}, fmt.Errorf("cannot decide about %s", q.Person.FirstName)
	})
	p.post(webhook("signin_before", noon, "Zmark"))
	p.post(webhook("signin_after", noon, "Zmark"))
	p.post(`{"event":"Zmark"`)
	server.Stop()
	p.post(webhook("signin_after", noon, "Zmark2"))
	_, metrics := p.get("/metrics")
	_, readiness := p.get("/readyz?verbose")
	p.end()
	if all := p.out.String() + p.err.String() + metrics + readiness; strings.Contains(all, "Zmark") {
		t.Errorf("a visitor's name leaked:\n%s", all)
	}
}

func TestServe_StartFailsWithAReasonAndExitCode(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	base := []string{"LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "KEYS=" + testKey}
	for _, c := range []struct {
		name     string
		settings []string
		code     int
		want     string
	}{
		{"nothing is set", nil, exitUsage, "SINE_RELAY_NATS_URL"},
		{"several faults at once", []string{"STORE_BUDGET=soon", "NATS_REPLICAS=9", "LISSEN=x"}, exitUsage, "SINE_RELAY_STORE_BUDGET"},
		{"a taken port", append(base, "NATS_URL=nats://127.0.0.1:1", "LISTEN="+taken.Addr().String()), exitFailed, "SINE_RELAY_LISTEN"},
		{"a NATS listener on a taken port", append(base, "NATS_STORE_DIR="+t.TempDir(), "NATS_LISTEN="+taken.Addr().String()), exitFailed, "SINE_RELAY_NATS_LISTEN"},
		{"an open NATS listener", append(base, "NATS_STORE_DIR="+t.TempDir(), "NATS_LISTEN=0.0.0.0:0"), exitFailed, "SINE_RELAY_NATS_LISTEN_PLAINTEXT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := cli.Run(context.Background(), cli.Process{Args: []string{"serve"}, Environ: environment(c.settings...), Stdout: &out, Stderr: &errOut})
			if code != c.code || !strings.Contains(errOut.String(), c.want) {
				t.Errorf("ended with %d: %s\nwant %d and %s", code, errOut.String(), c.code, c.want)
			}
		})
	}
}

func TestConnection_WrongPasswordIsReportedAndNotLogged(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.WithUser("relay", "right"))
	p := runServe(t, "NATS_URL="+server.URL(), "NATS_USER=relay", "NATS_PASSWORD=Zwrong")
	eventually(t, "it says why", func() bool {
		code, body := p.get("/readyz")
		return code == 503 && strings.Contains(strings.ToLower(body), "authorization")
	})
	p.end()
	if strings.Contains(p.out.String(), "Zwrong") {
		t.Error("the password was logged")
	}
}

func TestShutdown_RelayServesWhileDraining(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL(), "DRAIN_DELAY=1s").ready()
	p.stop()
	eventually(t, "it is unready", func() bool {
		code, body := p.get("/readyz")
		return code == 503 && strings.HasPrefix(body, "draining")
	})
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	if code := p.end(); code != exitOK {
		t.Errorf("it ended with %d: %s", code, p.err.String())
	}
}

// Who has a key must not be able to make visitors nobody.
func TestSynthetic_HeaderCountsOnlyOnTheAdminListener(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	stream, err := server.JetStream().Stream(t.Context(), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	for i, side := range []string{strings.TrimSuffix(p.webhook, "/sine/default"), p.admin} {
		req, err := http.NewRequest(http.MethodPost, side+"/sine/default", strings.NewReader(webhook("signin_after", noon, fmt.Sprint("Ada ", i))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("x-sine-auth", testKey)
		req.Header.Set("Sine-Relay-Synthetic", "true")
		answer, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		m, err := stream.GetMsg(t.Context(), uint64(i+1))
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("answered %d: %v", answer.StatusCode, err)
		}
		if marked := strings.Contains(string(m.Data), `"synthetic":true`); marked != (side == p.admin) {
			t.Errorf("from %s: marked as synthetic: %v", side, marked)
		}
	}
}

// People who arrive as a group may share Sine's id and a second.
func TestDuplicate_GroupWithOneVisitIDIsStoredWhole(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	for _, name := range []string{"Ada", "Bob", "Cem", "Bob"} {
		p.must(200, "eventId", fmt.Sprintf(`{"event":"signin_after","date":%q,"data":{"visitId":"group-7","firstName":%q}}`, noon, name))
	}
	if ids := stored(t, server.JetStream()); len(ids) != 3 {
		t.Errorf("%d of 3 people are stored", len(ids))
	}
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, `sine_relay_visit_id_conflicts_total{integration="default"} 2`) {
		t.Error("they are not counted")
	}
}
