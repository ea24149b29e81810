package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func runWith(environ []string, args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what starts ends at once
	code = Run(ctx, Process{Args: args, Environ: environ, Stdout: &stdout, Stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

func TestDesk_StartsAndEnds(t *testing.T) {
	code, out, err := runWith([]string{"SINE_RELAY_NATS_URL=nats://127.0.0.1:1", "SINE_RELAY_LOG_FORMAT=json"},
		"desk", "--desk-listen=127.0.0.1:0", "--desk-admin-listen=127.0.0.1:0")
	if code != ExitDone || err != "" || !strings.Contains(out, `"msg":"sine-relay desk","listen":"127.0.0.1:`) || !strings.Contains(out, `"msg":"stopped"`) {
		t.Errorf("%d\n%s\n%s", code, out, err)
	}
}

// Nobody starts a desk for everybody by mistake.
func TestDesk_BeyondLoopbackSomebodyMustSignIn(t *testing.T) {
	code, _, err := runWith([]string{"SINE_RELAY_NATS_URL=nats://127.0.0.1:1"}, "desk", "--desk-listen", "0.0.0.0:0")
	for _, want := range []string{"SINE_RELAY_DESK_LISTEN: 0.0.0.0:0 can be reached from other machines", "SINE_RELAY_DESK_OIDC_ISSUER", "SINE_RELAY_DESK_PROXY_USER_HEADER", "127.0.0.1"} {
		if code != ExitUsage || !strings.Contains(err, want) {
			t.Errorf("%d: no %s in %s", code, want, err)
		}
	}
}

func TestDesk_NeedsToKnowWhereNATSIs(t *testing.T) {
	if code, _, err := runWith(nil, "desk"); code != ExitUsage || !strings.Contains(err, "SINE_RELAY_NATS_URL: is required") {
		t.Errorf("%d %s", code, err)
	}
}

func TestConfigCheck_LooksAtTheDeskWhereItIsConfigured(t *testing.T) {
	environ := []string{"SINE_RELAY_NATS_URL=nats://127.0.0.1:1", "SINE_RELAY_KEYS=key-number-0123456789"}
	if code, out, err := runWith(environ, "config", "check"); code != ExitDone {
		t.Errorf("without a desk: %d %s %s", code, out, err)
	}
	environ = append(environ, "SINE_RELAY_DESK_LISTEN=:8081")
	if code, _, err := runWith(environ, "config", "check"); code != ExitUsage || !strings.Contains(err, "SINE_RELAY_DESK_LISTEN: :8081 can be reached") {
		t.Errorf("%d %s", code, err)
	}
}

// A relay has no flag of the desk, and a desk none of the relay alone.
func TestDesk_HasFlagsOfItsOwn(t *testing.T) {
	for command, flag := range map[string]string{"serve": "--desk-listen=:1", "desk": "--listen=:1"} {
		if code, _, err := runWith(nil, command, flag); code != ExitUsage || !strings.Contains(err, "unknown flag") {
			t.Errorf("%s %s: %d %s", command, flag, code, err)
		}
	}
}
