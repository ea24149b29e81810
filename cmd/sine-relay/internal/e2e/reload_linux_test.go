package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// What stands where the integrations stood may be anything. The rules before it are
// in force, and what comes after it is read.
func TestReload_InvalidIntegrationsFileKeepsThePreviousRules(t *testing.T) {
	t.Parallel()
	l := newLobbies(t)
	p := l.serve().ready()
	file := l.path("integrations.yaml")
	for _, c := range []struct {
		name, want string
		put        func(*lobbies)
	}{
		{"a pipe", "not a regular file", func(l *lobbies) { l.must(syscall.Mkfifo(file, 0o600)) }},
		{"a directory", "a directory", func(l *lobbies) { l.must(os.Mkdir(file, 0o700)) }},
		{"too many integrations", "the maximum is 2000", func(l *lobbies) {
			l.write("integrations.yaml", "integrations: ["+strings.Repeat("{name: lobby},", 20_000)+"]")
		}},
	} {
		l.must(os.Remove(file))
		c.put(l)
		eventually(t, "the reload says what is wrong: "+c.name, func() bool {
			_, body := p.get("/readyz?verbose")
			return strings.Contains(body, "the configuration has errors, and the one before is in force: ") && strings.Contains(body, c.want)
		})
		p.accepts(c.name, "gate", gateKey)
	}
	l.write("integrations.yaml", "integrations: [{name: lobby}]")
	p.refuses("one that is gone from the file that is right again", "gate", gateKey)
	p.accepts("one that stayed", "lobby", lobbyKey)
}
