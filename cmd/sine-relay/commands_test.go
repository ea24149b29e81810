package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/brokertest"
)

// command runs a command line and returns its exit code and what it printed.
func commandLine(environ []string, args ...string) (code int, out, errOut string) {
	var o, e output // a connection that closes may still log
	code = run(invocation{args: args, environ: environ, out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestCommands(t *testing.T) {
	fine := environment("NATS_URL=nats://127.0.0.1:4222", "KEYS="+testKey)
	for _, c := range []struct {
		name    string
		environ []string
		args    string
		code    int
		want    string
	}{
		{"no command", nil, "", exitOK, "Usage: sine-relay"},
		{"help", nil, "--help", exitOK, "config check"},
		{"an unknown command", nil, "sevre", exitUsage, `unknown command "sevre"`},
		{"half a command", nil, "quarantine", exitUsage, `unknown command "quarantine"; there are: quarantine ls, quarantine show, quarantine replay`},
		{"the version", nil, "version", exitOK, "sine-relay dev go1."},
		{"an argument to a command without any", nil, "version --json", exitUsage, "takes no arguments"},
		{"a configuration without faults", fine, "config check", exitOK, "no faults: 1 integration"},
		{"a warning", fine, "config check", exitOK, "no test visit has confirmed"},
		{"a faulty configuration", environment("NATS_URL=http://x"), "config check", exitUsage, "SINE_RELAY_KEYS"},
		{"the table of settings", nil, "config docs", exitOK, "| `SINE_RELAY_LISTEN` |"},
		{"the URLs", fine, "config urls", exitOK, "https://relay.example.com/sine/default"},
		{"the URLs of a host", fine, "config urls https://door.example.org/", exitOK, "https://door.example.org/sine/default"},
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

func TestURLsOfManyIntegrations(t *testing.T) {
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
	file := write("integrations.yaml", "integrations:\n- {name: lobby, site: hq, displayName: The lobby}\n- {name: dock, site: hq, events: [checked_out]}\n")
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

func TestHealthOfARunningRelay(t *testing.T) {
	server := brokertest.Start(t)
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	code, out, errOut := commandLine(environment("ADMIN_LISTEN="+strings.TrimPrefix(p.admin, "http://")), "health")
	if code != exitOK || !strings.HasPrefix(out, "ready\n") {
		t.Errorf("ended with %d: %s%s", code, out, errOut)
	}
}

// dev is the newcomer's first command: what it prints must work as printed.
func TestDev(t *testing.T) {
	dir := t.TempDir()
	key := ""
	for _, round := range []string{"first", "second"} {
		ctx, stop := context.WithCancel(context.Background())
		var out, errOut output
		ended := make(chan int, 1)
		go func() {
			ended <- dev(ctx, invocation{environ: environment("NATS_STORE_DIR=" + dir), out: &out, err: &errOut})
		}()
		t.Cleanup(stop)
		eventually(t, "it is up", func() bool { return strings.Contains(out.String(), "Events appear here") })

		curls := regexp.MustCompile(`curl -i -H 'x-sine-auth: (\S+)' -H 'content-type: application/json' (\S+) -d '(.*)'`).FindAllStringSubmatch(out.String(), -1)
		if len(curls) != 3 {
			t.Fatalf("%d commands to paste in:\n%s", len(curls), out.String())
		}
		for i, want := range []string{"Welcome, Marguerite!", "eventId", "eventId"} {
			if got := call(t, curls[i][2], curls[i][1], curls[i][3]); !strings.Contains(got, want) {
				t.Errorf("%s round, call %d: %s", round, i, got)
			}
		}
		denied := strings.Replace(curls[0][3], "Bexley Rigging", "Denied", 1)
		if got := call(t, curls[0][2], curls[0][1], denied); !strings.Contains(got, "REJECTED") {
			t.Errorf("%s round: %s", round, got)
		}
		eventually(t, "both events are printed", func() bool {
			return strings.Contains(out.String(), "checked_in  site default  Marguerite") && strings.Contains(out.String(), "checked_out  site default")
		})
		if key != "" && key != curls[0][1] {
			t.Error("the second run has another key")
		}
		key = curls[0][1]

		lines := regexp.MustCompile(`(?m)^ +(\w+) +(\S+) +(nats://\S+) +(receives|answers|gives)`).FindAllStringSubmatch(out.String(), -1)
		if len(lines) != 3 {
			t.Fatalf("%d users in:\n%s", len(lines), out.String())
		}
		for _, user := range lines {
			nc, err := nats.Connect(user[3])
			if err != nil {
				t.Fatalf("the URL of %s does not work: %v", user[1], err)
			}
			nc.Close()
			bare := regexp.MustCompile(`//.*@`).ReplaceAllString(user[3], "//")
			if nc, err = nats.Connect(bare, nats.UserInfo(user[1], user[2])); err != nil {
				t.Fatalf("user and password of %s do not work apart: %v", user[1], err)
			}
			nc.Close()
		}
		orders := regexp.MustCompile(`(SINE_RELAY_NATS_URL=\S+) sine-relay (lockdown .*--site default)`).FindAllStringSubmatch(out.String(), -1)
		if len(orders) != 2 {
			t.Fatalf("%d orders in:\n%s", len(orders), out.String())
		}
		for i, want := range []string{"Obeyed by 1", "is lifted"} {
			must(t, []string{orders[i][1]}, want, strings.Fields(orders[i][2])...)
		}
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("%s round: ended with %d: %s", round, code, errOut.String())
		}
	}
}

func call(t *testing.T, url, key, body string) string {
	t.Helper()
	req, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-sine-auth", key)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestADefaultPortThatIsTakenGivesWay(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	if got := free(address); got == address || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("%s is taken, and %s was chosen", address, got)
	}
	code, _, errOut := commandLine(environment("LISTEN="+address, "NATS_STORE_DIR="+t.TempDir()), "dev")
	if code != exitFailed || !strings.Contains(errOut, "SINE_RELAY_LISTEN") {
		t.Errorf("a port that was set and is taken: ended with %d: %s", code, errOut)
	}
}
