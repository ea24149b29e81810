// Whoever reads /proc/self/mem from its beginning gets EIO, which no other file
// gives when it is asked to: on Linux only.

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

const lobbyKey, dockKey, gateKey = "lobby-key-0123456789", "dock-key-0123456789", "gate-key-0123456789"

// lobbies are the files of a relay with three of them.
type lobbies struct {
	t   *testing.T
	dir string
}

func newLobbies(t *testing.T) *lobbies {
	l := &lobbies{t, t.TempDir()}
	if err := os.Mkdir(l.path("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	l.write("integrations.yaml", "integrations: [{name: lobby}, {name: dock}, {name: gate}]")
	for name, key := range map[string]string{"lobby": lobbyKey, "dock": dockKey, "gate": gateKey} {
		l.write("keys/"+name, key)
	}
	return l
}

func (l *lobbies) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lobbies) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lobbies) write(name, content string) {
	l.t.Helper()
	l.must(os.WriteFile(l.path(name), []byte(content), 0o600))
}

func (l *lobbies) settings(more ...string) []string {
	return append([]string{"KEYS=", "INTEGRATIONS_FILE=" + l.path("integrations.yaml"), "KEYS_DIR=" + l.path("keys")}, more...)
}

func (l *lobbies) serve(more ...string) *program {
	l.t.Helper()
	server := natstest.Start(l.t)
	p := runServe(l.t, l.settings(append(more, "NATS_URL="+server.URL())...)...)
	eventually(l.t, "NATS is there", func() bool {
		_, body := p.get("/readyz?verbose")
		return !strings.HasPrefix(body, "starting") && !strings.Contains(body, "not connected") && !strings.Contains(body, "not been verified")
	})
	return p
}

func (p *program) refuses(what, integration, key string) {
	p.t.Helper()
	eventually(p.t, what, func() bool { return p.answers(integration, key) == 401 })
}

func (p *program) accepts(what, integration, key string) {
	p.t.Helper()
	if code := p.answers(integration, key); code != 200 {
		p.t.Errorf("%s: %s was answered %d", what, integration, code)
	}
}

// Everything that can be wrong beside it is.
func TestAPIKeys_RevokedKeyIsRefusedWhateverElseIsWrong(t *testing.T) {
	t.Parallel()
	cert, certKey, _ := certificate(t)
	for _, c := range []struct {
		name string
		take func(*lobbies)
	}{
		{"the file is emptied", func(l *lobbies) { l.write("keys/lobby", "") }},
		{"the file is deleted", func(l *lobbies) { l.must(os.Remove(l.path("keys/lobby"))) }},
		{"the line is removed", func(l *lobbies) { l.write("keys/lobby", "another-key-0123456789\n") }},
		{"the file is something else", func(l *lobbies) { l.write("keys/lobby", "\xff\xfel\x00o\x00") }},
		{"a directory is in its place", func(l *lobbies) {
			l.must(os.Remove(l.path("keys/lobby")))
			l.must(os.Mkdir(l.path("keys/lobby"), 0o700))
		}},
		{"a pipe is in its place", func(l *lobbies) {
			l.must(os.Remove(l.path("keys/lobby")))
			l.must(syscall.Mkfifo(l.path("keys/lobby"), 0o600))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // they wait for most of their time
			l := newLobbies(t)
			l.write("cert", readFile(t, cert))
			p := l.serve("NATS_LISTEN_TLS_CERT_FILE="+l.path("cert"), "NATS_LISTEN_TLS_KEY_FILE="+certKey).ready()
			p.accepts("at first", "lobby", lobbyKey)

			l.write("integrations.yaml", "integrations: [")
			l.must(os.Remove(l.path("cert")))
			l.write("keys/stray", "stray-key-0123456789")
			l.must(syscall.Mkfifo(l.path("keys/pipe"), 0o600))
			l.write("keys/dock", dockKey+"\nb\x00d\n")
			l.must(os.Remove(l.path("keys/gate")))
			l.must(os.Symlink("/proc/self/mem", l.path("keys/gate"))) // whoever reads it gets EIO
			eventually(t, "the faults are seen", func() bool { return p.shows("sine_relay_config_last_reload_successful 0") })
			c.take(l)
			p.refuses("the key that was taken away", "lobby", lobbyKey)
			p.accepts("another lobby, whose file has a bad line", "dock", dockKey)
			p.accepts("another lobby, whose file cannot be read", "gate", gateKey)
			eventually(t, "it is named", func() bool {
				_, body := p.get("/readyz?verbose")
				return strings.HasPrefix(body, "degraded: the configuration has errors") && strings.Contains(body, "keys/gate: cannot be read: input/output error; its previous keys remain accepted") &&
					(c.name == "the line is removed" || strings.Contains(body, `integration lobby: no API key`) && p.shows(`sine_relay_integration_api_keys{integration="lobby"} 0`))
			})
			if !p.shows("sine_relay_api_keys_readable 0") {
				t.Error("it does not show that a file of keys cannot be read")
			}
			if strings.Contains(p.out.String(), "0123456789") {
				t.Error("a key was logged")
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Without the directory it is not known what was taken away. Every lobby would be
// closed.
func TestAPIKeys_MissingDirectoryKeepsThePreviousKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		left func(*lobbies)
	}{
		{"it is gone", func(*lobbies) {}},
		{"a file is in its place", func(l *lobbies) { l.write("keys", "") }},
		{"its volume is unmounted", func(l *lobbies) { l.must(os.Mkdir(l.path("keys"), 0o700)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // they wait for most of their time
			l := newLobbies(t)
			p := l.serve().ready()
			l.must(os.Rename(l.path("keys"), l.path("away")))
			c.left(l)
			eventually(t, "it is seen", func() bool { return p.shows("sine_relay_api_keys_readable 0") })
			for integration, key := range map[string]string{"lobby": lobbyKey, "dock": dockKey} {
				p.accepts("without the directory", integration, key)
			}
			if _, body := p.get("/readyz?verbose"); !strings.Contains(body, "SINE_RELAY_KEYS_DIR: cannot read the directory") || !strings.Contains(body, "the previous keys remain accepted") {
				t.Errorf("readiness: %s", body)
			}
			l.must(os.Remove(l.path("away/lobby")))
			l.must(os.RemoveAll(l.path("keys")))
			l.must(os.Rename(l.path("away"), l.path("keys")))
			p.refuses("it is back, without a file", "lobby", lobbyKey)
			p.accepts("it is back", "dock", dockKey)
			if !p.shows("sine_relay_api_keys_readable 1") {
				t.Error("it does not show that the keys can be read again")
			}
		})
	}
}

// A restart finds what a reload had found.
func TestAPIKeys_RelayStartsWithoutAKeyForOneIntegration(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*lobbies){
		"the file is empty":   func(l *lobbies) { l.write("keys/lobby", "\n") },
		"the file is deleted": func(l *lobbies) { l.must(os.Remove(l.path("keys/lobby"))) },
		"the key is short":    func(l *lobbies) { l.write("keys/lobby", "7-signs") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait for most of their time
			l := newLobbies(t)
			take(l)
			l.write("keys/stray", lobbyKey)
			p := l.serve()
			p.accepts("the other lobby", "dock", dockKey)
			if code := p.answers("lobby", lobbyKey); code != 401 {
				t.Errorf("the lobby without a key was answered %d", code)
			}
			if code := p.answers("lobby", "7-signs"); code != 401 {
				t.Errorf("a key that is too short was answered %d", code)
			}
			code, body := p.get("/readyz?verbose")
			if code != 200 || !strings.HasPrefix(body, "degraded: the configuration has") || !strings.Contains(body, `keys/lobby: integration lobby: no API key`) {
				t.Errorf("readiness: %d %s", code, body)
			}
			for _, series := range []string{`sine_relay_integration_api_keys{integration="lobby"} 0`, `sine_relay_integration_api_keys{integration="dock"} 1`, "sine_relay_config_last_reload_successful 0", "sine_relay_api_keys_readable 1"} {
				if !p.shows(series) {
					t.Errorf("no %s", series)
				}
			}
			if !strings.Contains(p.out.String(), "keys/stray: no integration has the name of this file") {
				t.Error("the stray file is not warned of")
			}
			l.write("keys/lobby", lobbyKey)
			eventually(t, "a key is there", func() bool { return p.answers("lobby", lobbyKey) == 200 })
			eventually(t, "nothing is wrong", func() bool { _, body := p.get("/readyz"); return body == "ready\n" })
		})
	}
}

func TestConfig_InvalidIntegrationLeavesTheOthersServing(t *testing.T) {
	t.Parallel()
	const broken = "integrations: [{name: lobby, timeZone: Mars}, {name: dock}, {name: gate}]"
	l := newLobbies(t)
	l.write("integrations.yaml", broken)
	p := l.serve()
	p.accepts("at the start", "dock", dockKey)
	if code := p.answers("lobby", lobbyKey); code != 401 {
		t.Errorf("broken from the start: answered %d", code)
	}
	if _, body := p.get("/readyz?verbose"); !strings.Contains(body, `the integration lobby has errors and answers 401 to every call: integrations.yaml:1: timeZone: must be a time zone`) {
		t.Errorf("readiness: %s", body)
	}
	if !p.shows(`sine_relay_integration_invalid{integration="lobby"} 1`) || !p.shows(`sine_relay_integration_invalid{integration="dock"} 0`) {
		t.Error("the metric does not name it")
	}

	l.write("integrations.yaml", "integrations: [{name: lobby, timeZone: Europe/Vienna}, {name: dock}, {name: gate}]")
	eventually(t, "it is mended", func() bool { return p.answers("lobby", lobbyKey) == 200 })

	l.write("integrations.yaml", strings.Replace(broken, "{name: gate}", "{name: gate}, {name: new}", 1))
	l.write("keys/new", "new-key-0123456789")
	eventually(t, "a new integration beside a newly broken one", func() bool { return p.answers("new", "new-key-0123456789") == 200 })
	p.accepts("newly broken", "lobby", lobbyKey)
	if _, body := p.get("/readyz?verbose"); !strings.Contains(body, "the integration lobby has errors and answers as before:") {
		t.Errorf("readiness: %s", body)
	}
	if log := p.out.String(); !strings.Contains(log, `"msg":"configuration in force","integrations":5,"with_errors":1,`) {
		t.Errorf("the log does not count the broken one:\n%s", log)
	}
	l.write("keys/lobby", "lobby-key-of-autumn")
	p.refuses("the old key of the broken one", "lobby", lobbyKey)
	p.accepts("its new key", "lobby", "lobby-key-of-autumn")

	// Which one has lost its name? It might be the lobby.
	l.write("integrations.yaml", "integrations: [{nmae: lobby}, {name: dock}, {name: new}]")
	eventually(t, "the fault is seen", func() bool {
		_, body := p.get("/readyz?verbose")
		return strings.Contains(body, "the integration lobby is not found in the file") && strings.Contains(body, "the integration gate is not found in the file")
	})
	p.accepts("without its name", "lobby", "lobby-key-of-autumn")

	l.write("integrations.yaml", "integrations: [{name: dock}, {name: new}]")
	p.refuses("it was removed", "lobby", "lobby-key-of-autumn")
	eventually(t, "the stray files are all that is left", func() bool { _, body := p.get("/readyz"); return body == "ready\n" })
}

// The check of what one is about to install is as strict as ever.
func TestConfig_CheckNamesEveryProblem(t *testing.T) {
	t.Parallel()
	l := newLobbies(t)
	l.write("integrations.yaml", "integrations: [{name: lobby, timeZone: Mars}, {name: dock}, {name: gate}]")
	l.write("keys/dock", "")
	l.write("keys/stray", dockKey)
	var out, errs logtest.Buffer
	code := cli.Run(context.Background(), cli.Process{Args: []string{"config", "check"}, Environ: environment(l.settings("NATS_URL=nats://127.0.0.1:4222")...), Stdout: &out, Stderr: &errs})
	if code != exitUsage {
		t.Errorf("it ended with %d", code)
	}
	for _, want := range []string{`integration lobby: timeZone: must be a time zone`, `integration dock: no API key`} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("no %s in: %s", want, errs.String())
		}
	}
	if !strings.Contains(out.String(), "warning: keys/stray: no integration has the name of this file") {
		t.Errorf("no warning in: %s", out.String())
	}
}
