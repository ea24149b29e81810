//go:build unix

package config

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// To read a pipe that nobody writes to never ends, and no key would be taken away
// any more.
func TestAPipeAmongTheKeysIsNotRead(t *testing.T) {
	dir := files(t, map[string]string{"i.yaml": "integrations: [{name: lobby}, {name: dock}]", "keys/lobby": key})
	for _, name := range []string{"dock", "nobody"} {
		if err := syscall.Mkfifo(filepath.Join(dir, "keys", name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := []string{"KEYS=", "INTEGRATIONS_FILE=" + dir + "/i.yaml", "KEYS_DIR=" + dir + "/keys"}
	text := faulty(t, settings...)
	expect(t, text, "keys/dock: cannot be read: it is no file of keys: it is no regular file", `SINE_RELAY_KEYS_DIR: holds no key of the integration "dock"`)
	expectNot(t, text, "nobody")
	if s, err := Load(environ(settings...), nil); err != nil || len(s.Keyring.Of("lobby")) != 1 {
		t.Errorf("the other lobby has %d keys: %v", len(s.Keyring.Of("lobby")), err)
	}
}

// Links that lead in a circle lead to no key: what was there before is taken away.
func TestLinksOfKeysThatLeadInACircle(t *testing.T) {
	dir := files(t, map[string]string{"keys/a": key})
	s := Settings{Environment: Environment{KeysDir: dir + "/keys"}}
	before := s.ReadKeys(nil)
	if err := os.Remove(dir + "/keys/a"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", dir+"/keys/a"); err != nil {
		t.Fatal(err)
	}
	k := s.ReadKeys(before)
	if n := len(k.Of("a")); n != 0 || len(k.Unreadable()) != 0 {
		t.Errorf("%d keys, unreadable %v", n, k.Unreadable())
	}
}
