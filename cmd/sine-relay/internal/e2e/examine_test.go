package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/natstest"
)

func TestConfig_CheckConnectsToNATS(t *testing.T) {
	t.Parallel()
	open := natstest.Start(t)
	runServe(t, "NATS_URL="+open.URL()).ready()
	recorded := natstest.Start(t)
	runServe(t, "NATS_URL="+recorded.URL()).ready()
	if _, err := recorded.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"visitors.v1.ask.>"}}); err != nil {
		t.Fatal(err)
	}
	decideAt(t, open, "watchlist", acceptAll)
	misspelt, spelt := filepath.Join(t.TempDir(), "i.yaml"), filepath.Join(t.TempDir(), "i.yaml")
	for file, content := range map[string]string{misspelt: "defaults: {decider: watchlst}\n", spelt: "defaults: {decider: watchlist}\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shipped := startDeployment(t, natsDir+"nats.conf")
	p := runServe(t, "NATS_URL="+open.URL()).ready()
	if _, body := p.get("/readyz?verbose"); !strings.Contains(body, conn.UnauthenticatedText) || !strings.HasPrefix(body, "ready") {
		t.Errorf("readiness does not say so, or is not ready:\n%s", body)
	}
	for name, c := range map[string]struct {
		settings []string
		args     []string
		code     int
		want     string
	}{
		"a NATS that asks nobody":          {[]string{"NATS_URL=" + open.URL()}, []string{"--connect"}, exitOK, `(?s)is valid.*ok +NATS: connected\n +nats://.*warning: NATS requires no authentication.*ok +stream VISITORS can be used.*ok +may publish visitors\.v1\.ask\.`},
		"the shipped accounts":             {shipped.settings("relay"), []string{"--connect"}, exitOK, `(?s)ok +NATS authenticates its clients.*ok +stream VISITOR_QUARANTINE can be used.*ok +stream KV_VISITOR_ORDERS can be used.*ok +may publish visitors\.v1\.quarantine\.hq`},
		"a decider whose name is misspelt": {[]string{"NATS_URL=" + open.URL(), "INTEGRATIONS_FILE=" + misspelt}, []string{"--connect"}, exitOK, `warning: SINE_RELAY_KEYS: integration default, decider watchlst: nobody is seen to answer its check-in requests; did you mean default\.watchlist\?; a program that`},
		"a decider that answers":           {[]string{"NATS_URL=" + open.URL(), "INTEGRATIONS_FILE=" + spelt}, []string{"--connect"}, exitOK, `(?s)^(warning: SINE_RELAY_KEYS: integration default: no test visit[^\n]*\n)?The configuration is valid: 1 integration\.\nok +NATS: connected.*check-in requests\nok +may publish`},
		"another user":                     {shipped.settings("desk"), []string{"--connect"}, exitFailed, `not ok +NATS: connected: .*subscribe to _INBOX_SINE_RELAY\.>`},
		"another user's rights":            {append(shipped.settings("desk"), "NATS_INBOX_PREFIX=_INBOX"), []string{"--connect"}, exitFailed, `(?s)not ok +stream VISITORS can be used[^\n]*INFO\.VISITORS".*VISITOR_QUARANTINE can be used[^\n]*INFO\.VISITOR_QUARANTINE".*ok +stream KV_VISITOR_ORDERS can be used`},
		"a wrong password":                 {[]string{"NATS_URL=" + shipped.URL(), "NATS_USER=relay", "NATS_PASSWORD=Zwrong"}, []string{"--connect"}, exitFailed, `not ok +NATS: connected`},
		"a stream over the requests":       {[]string{"NATS_URL=" + recorded.URL()}, []string{"--connect"}, exitFailed, `(?s)not ok +no stream stores check-in requests: stream AUDIT.*not ok +may publish visitors\.v1\.ask\.[^\n]*stream AUDIT acknowledges`},
		"NATS is away":                     {[]string{"NATS_URL=nats://127.0.0.1:1"}, []string{"--connect"}, exitFailed, `not ok +NATS: connected`},
		"the embedded NATS":                {[]string{"NATS_STORE_DIR=" + t.TempDir()}, []string{"--connect"}, exitUsage, `runs within serve`},
		"without connecting":               {[]string{"NATS_URL=nats://127.0.0.1:1"}, nil, exitOK, `is valid`},
		"an argument that is none":         {[]string{"NATS_URL=nats://127.0.0.1:1"}, []string{"connect"}, exitUsage, `takes no arguments`},
	} {
		code, out, errOut := commandLine(environment(append(c.settings, "KEYS="+testKey)...), append([]string{"config", "check"}, c.args...)...)
		if code != c.code || !regexp.MustCompile(c.want).MatchString(out+errOut) || strings.Contains(out+errOut, "Zwrong") {
			t.Errorf("%s: ended with %d:\n%s%s", name, code, out, errOut)
		}
	}
}
