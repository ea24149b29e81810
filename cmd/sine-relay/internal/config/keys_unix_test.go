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
func TestAPIKeys_NamedPipeIsNotRead(t *testing.T) {
	dir := files(t, map[string]string{"i.yaml": "integrations: [{name: lobby}, {name: dock}]", "keys/lobby": key})
	for _, name := range []string{"dock", "nobody"} {
		if err := syscall.Mkfifo(filepath.Join(dir, "keys", name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := []string{"KEYS=", "INTEGRATIONS_FILE=" + dir + "/i.yaml", "KEYS_DIR=" + dir + "/keys"}
	text := invalid(t, settings...)
	expect(t, text, "keys/dock: cannot be read: not a file of keys: not a regular file", `keys/dock: integration dock: no API key`)
	expectNot(t, text, "nobody")
	if s, err := Load(environ(settings...), nil); err != nil || len(s.Keyring.Of("lobby")) != 1 {
		t.Errorf("the other lobby has %d keys: %v", len(s.Keyring.Of("lobby")), err)
	}
}

// Links that lead in a circle lead to no key: what was there before is taken away.
func TestAPIKeys_CircularSymlinkRevokesTheKeys(t *testing.T) {
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

// A relay that waits for a pipe never reloads again.
func TestConfig_OnlyRegularFilesAreRead(t *testing.T) {
	dir := files(t, map[string]string{"keys/a": key})
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"INTEGRATIONS_FILE", "NATS_TOKEN_FILE", "NATS_CA_FILE", "NATS_CREDENTIALS_FILE", "TLS_CERT_FILE"} {
		expect(t, invalid(t, setting+"="+dir+"/pipe"), Prefix+setting+": cannot read the file: not a regular file")
		expect(t, invalid(t, setting+"="+dir), Prefix+setting+": cannot read the file: not a regular file: a directory")
	}
	expect(t, invalid(t, "KEYS_FILE="+dir+"/pipe", "KEYS="), "not a regular file")
	expect(t, invalid(t, "KEYS_DIR="+dir+"/pipe", "KEYS="), Prefix+"KEYS_DIR: cannot read the directory: not a directory")
	s := Settings{Environment: Environment{IntegrationsFile: dir + "/pipe"}}
	if before := s.Digest(); s.Digest() != before {
		t.Error("a pipe changes by itself")
	}
}
