package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

func TestVerify_PassesForARunningRelay(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	decideAt(t, nats, "default", acceptAll)
	p := runServe(t, "NATS_URL="+nats.URL()).ready()
	public, admin := strings.TrimSuffix(p.webhook, "/sine/default"), p.admin
	environ := environment("NATS_URL="+nats.URL(), "KEYS="+testKey)
	must(t, environ, `(?s)ok +readiness: ready\n.*stream VISITORS: verified.*ok +a wrong key is answered 401\nok +the relay accepts the key default#1 of integration default\n`+
		`ok +may publish visitors\.v1\.event\.default\.checked_in\n.*decision.*quarantine.*\nok +may publish visitors\.v1\.ask\.default\.`,
		"verify", "--public", public+"/", "--admin", admin)
	if n := len(stored(t, nats.JetStream())); n > 0 {
		t.Errorf("%d events are in the stream", n)
	}
	_, metrics := p.get("/metrics")
	if got := regexp.MustCompile(`sine_relay_decider_requests_total\{.*\} [1-9]`).FindString(metrics); got != "" {
		t.Errorf("a decider was asked: %s", got)
	}

	cert, key, _ := certificate(t)
	encrypted := runServe(t, "NATS_URL="+nats.URL(), "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key).ready()
	must(t, environ, "ok +a wrong key is answered 401", "verify", "--admin", encrypted.admin,
		"--public", strings.Replace(strings.TrimSuffix(encrypted.webhook, "/sine/default"), "http:", "https:", 1))

	nothing := "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no relay":               {[]string{"--public", nothing, "--admin", nothing}, exitFailed, "not ok   readiness: ready: Get .*refused"},
		"no URL":                 {[]string{"--public", public, "--admin", "a b://"}, exitUsage, "--admin: .* is not a URL"},
		"the wrong port":         {[]string{"--public", admin, "--admin", admin}, exitFailed, "not ok   a wrong key is answered 401: answered 404"},
		"a flag that is unknown": {[]string{"--verbose"}, exitUsage, "unknown flag --verbose"},
	} {
		code, out, errOut := commandLine(environ, append([]string{"verify", "--settling", "0s"}, c.args...)...)
		if code != c.code || !regexp.MustCompile(c.want).MatchString(out+errOut) {
			t.Errorf("%s: ended with %d:\n%s%s", name, code, out, errOut)
		}
	}
}

func TestVerify_NamesTheMissingPermission(t *testing.T) {
	t.Parallel()
	const denied = "visitors.v1.quarantine.>"
	nats := natstest.Start(t, natstest.WithUser("relay", "Zsecret"), func(o *server.Options) {
		o.Users[0].Permissions = &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{denied}}}
	})
	p := runServe(t, "NATS_URL="+nats.URL(), "NATS_USER=relay", "NATS_PASSWORD=Zsecret").ready()
	environ := environment("NATS_URL="+nats.URL(), "NATS_USER=relay", "NATS_PASSWORD=Zsecret", "KEYS="+testKey)
	code, out, _ := commandLine(environ, "verify", "--settling", "0s", "--public", strings.TrimSuffix(p.webhook, "/sine/default"), "--admin", p.admin)
	if code != exitFailed || strings.Count(out, "not ok") != 1 ||
		!regexp.MustCompile(`not ok +may publish visitors\.v1\.quarantine\.default: .*[Pp]ermissions [Vv]iolation`).MatchString(out) {
		t.Errorf("ended with %d:\n%s", code, out)
	}
}

func TestVerify_WantsTheKeysThatTheRelayHas(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	p := runServe(t, "NATS_URL="+nats.URL()).ready()
	at := []string{"verify", "--settling", "0s", "--public", strings.TrimSuffix(p.webhook, "/sine/default"), "--admin", p.admin}
	const other = "not-the-relays-key-0123456789"
	code, out, _ := commandLine(environment("NATS_URL="+nats.URL(), "KEYS="+testKey+","+other), at...)
	if code != exitFailed || strings.Count(out, "not ok") != 1 || strings.Contains(out, other) ||
		!strings.Contains(out, "ok       the relay accepts the key default#1 of integration default\n") ||
		!strings.Contains(out, "not ok   the relay accepts the key default#2 of integration default: it has another key, or has not read this one yet\n") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, `api_key_last_used_timestamp_seconds{api_key="default#1",integration="default"} 0`) {
		t.Error("the key counts as used")
	}
}

// Where the relay runs, its settings say where it listens.
func TestVerify_ObeysTheListenSettings(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	cert, key, _ := certificate(t)
	for name, settings := range map[string][]string{"http": nil, "https": {"TLS_CERT_FILE=" + cert, "TLS_KEY_FILE=" + key}} {
		settings = append(settings, "NATS_URL="+nats.URL())
		p := runServe(t, settings...).ready()
		listen := strings.TrimSuffix(strings.TrimPrefix(p.webhook, "http://"), "/sine/default")
		environ := environment(append(settings, "KEYS="+testKey, "LISTEN="+listen, "ADMIN_LISTEN="+strings.TrimPrefix(p.admin, "http://"))...)
		if code, out, errOut := commandLine(environ, "verify", "--settling", "0s"); code != exitOK {
			t.Errorf("%s: ended with %d:\n%s%s", name, code, out, errOut)
		}
	}
	embedded := runServe(t, "NATS_STORE_DIR="+t.TempDir(), "NATS_LISTEN=127.0.0.1:0").ready()
	environ := environment("NATS_STORE_DIR="+t.TempDir(), "KEYS="+testKey, "ADMIN_LISTEN="+strings.TrimPrefix(embedded.admin, "http://"),
		"LISTEN="+strings.TrimSuffix(strings.TrimPrefix(embedded.webhook, "http://"), "/sine/default"))
	if code, out, errOut := commandLine(environ, "verify", "--settling", "0s"); code != exitOK || strings.Contains(out, "may publish") {
		t.Errorf("with the embedded NATS: ended with %d:\n%s%s", code, out, errOut)
	}
}
