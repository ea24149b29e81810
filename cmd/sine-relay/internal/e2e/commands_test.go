package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

// command runs a command line and returns its exit code and what it printed.
func commandLine(environ []string, args ...string) (code int, out, errOut string) {
	var o, e logtest.Buffer // a connection that closes may still log
	code = cli.Run(context.Background(), cli.Process{Args: args, Environ: environ, Stdout: &o, Stderr: &e})
	return code, o.String(), e.String()
}

func TestCommands_PrintTheirResultAndExitCode(t *testing.T) {
	t.Parallel()
	fine := environment("NATS_URL=nats://127.0.0.1:4222", "KEYS="+testKey)
	for _, c := range []struct {
		name    string
		environ []string
		args    string
		code    int
		want    string
	}{
		{"the version", nil, "version", exitOK, "sine-relay dev, commit"},
		{"a configuration without faults", fine, "config check", exitOK, "is valid: 1 integration."},
		{"a warning", fine, "config check", exitOK, "no test visit has confirmed"},
		{"a faulty configuration", environment("NATS_URL=http://x"), "config check", exitUsage, "SINE_RELAY_KEYS"},
		{"the table of settings", nil, "config docs", exitOK, "| `SINE_RELAY_LISTEN` |"},
		{"the URLs", fine, "config urls", exitOK, "https://relay.example.com/sine/default"},
		{"the URLs of a host", fine, "config urls https://door.example.org/", exitOK, "https://door.example.org/sine/default"},
		{"the URLs of a host without a scheme", fine, "config urls door.example.org", exitUsage, `"door.example.org" is not the URL`},
		{"a relay without a scheme", fine, "verify --public relay.example.com", exitUsage, `--public: "relay.example.com" is not a URL`},
		{"the URLs of a faulty configuration", nil, "config urls", exitUsage, "SINE_RELAY_NATS_URL"},
		{"the health of nothing", environment("ADMIN_LISTEN=127.0.0.1:1"), "health", exitFailed, "refused"},
		{"the health at no address", environment("ADMIN_LISTEN=nowhere"), "health", exitUsage, "SINE_RELAY_ADMIN_LISTEN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errOut := commandLine(c.environ, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out+errOut, c.want) {
				t.Errorf("ended with %d:\n%s%s\nwant %d and %s", code, out, errOut, c.code, c.want)
			}
		})
	}
}

func TestConfig_URLsListsEveryIntegration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	file := write("integrations.yaml", "integrations:\n- {name: lobby, site: hq, displayName: The lobby}\n- {name: dock, site: hq, kinds: [checked_out]}\n")
	write("keys/lobby", "# name: spring\nlobby-key-0123456789\n")
	write("keys/dock", "dock-key-0123456789\n")
	code, out, errOut := commandLine(environment("NATS_URL=nats://x:4222", "INTEGRATIONS_FILE="+file, "KEYS_DIR="+filepath.Join(dir, "keys")), "config", "urls", "https://d")
	for _, want := range []string{"lobby (The lobby)", "https://d/sine/lobby ", "spring", "https://d/sine/dock/check-out-success", "dock#1"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("ended with %d, no %q in:\n%s%s", code, want, out, errOut)
		}
	}
	if strings.Contains(out, "0123456789") {
		t.Error("a key was printed")
	}
}

func TestHealth_CommandReportsARunningRelay(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	code, out, errOut := commandLine(environment("ADMIN_LISTEN="+strings.TrimPrefix(p.admin, "http://")), "health")
	if code != exitOK || !strings.HasPrefix(out, "ready\n") {
		t.Errorf("ended with %d: %s%s", code, out, errOut)
	}
}
