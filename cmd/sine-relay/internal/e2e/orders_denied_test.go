package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// A relay that would not hear of a lockdown must not look well.
func TestARelayThatCannotFollowTheOrdersIsNotReady(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.WithUser("relay", "Zsecret"), func(o *server.Options) {
		o.Users[0].Permissions = &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.>"}}}
	})
	settings := []string{"NATS_URL=" + s.URL(), "NATS_USER=relay", "NATS_PASSWORD=Zsecret"}
	p := runServe(t, settings...)
	eventually(t, "it is not ready and says why", func() bool {
		_, body := p.get("/readyz")
		return strings.HasPrefix(body, "starting: lockdowns and overrides: ") && strings.Contains(body, "$JS.API.CONSUMER.")
	})
	code, out, _ := commandLine(environment(append(settings, "KEYS="+testKey)...), "verify", "--settling", "0s",
		"--public", strings.TrimSuffix(p.webhook, "/sine/default"), "--admin", p.admin)
	if code != exitFailed || !strings.Contains(out, "not ok   readiness") {
		t.Errorf("verify ended with %d:\n%s", code, out)
	}
}

// Records of decisions must not take the visitors' places in the spool.
func TestAFullStreamOfDecisionsDoesNotFillTheSpool(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := runServe(t, "NATS_URL="+s.URL(), "SPOOL_DIR="+t.TempDir(), "DECISION_STREAM_MAX_BYTES=64KiB").ready()
	shows := func(series string) bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, "\n"+series)
	}
	for n := 0; !shows(`sine_relay_decision_records_total{result="failed"} 1`); n++ {
		if n > 1000 {
			t.Fatal("the stream does not fill up")
		}
		p.must(200, "REJECTED", webhook("signin_before", noon, fmt.Sprint("Ada ", n)))
	}
	if !shows("sine_relay_spool_messages 0\n") {
		t.Error("records wait in the spool, which their stream does not take")
	}
	s.Stop()
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
}
