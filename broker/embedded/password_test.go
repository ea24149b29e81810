package embedded_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/embedded"
)

func TestPassword_FilesAreReadableByTheOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "store")
	s := start(t, embedded.Config{StoreDir: dir})
	for file, want := range map[string]os.FileMode{dir: 0o700, dir + "/nats-passwords": 0o700, dir + "/nats-passwords/relay": 0o600, dir + "/nats-passwords/desk": 0o600, dir + "/lock": 0o600} {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", file, info, err)
		}
	}
	passwords := map[string]bool{}
	for _, user := range []string{"relay", "decider", "consumer", "operator", "desk", "admin"} {
		content, err := os.ReadFile(dir + "/nats-passwords/" + user)
		if err != nil || strings.TrimSpace(string(content)) != s.Password(user) || len(s.Password(user)) < 26 {
			t.Errorf("the file does not hold the password of %s, %v", user, err)
		}
		passwords[s.Password(user)] = true
	}
	if len(passwords) != 6 {
		t.Errorf("%d passwords for six users", len(passwords))
	}
	left, err := filepath.Glob(dir + "/nats-passwords/*-*")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestPassword_DiffersBetweenStores(t *testing.T) {
	t.Parallel()
	a, b := start(t, embedded.Config{StoreDir: t.TempDir()}), start(t, embedded.Config{StoreDir: t.TempDir()})
	if a.Password("relay") == b.Password("relay") {
		t.Error("the same password twice")
	}
}

func TestPassword_MayBeSetInItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/nats-passwords", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/nats-passwords/operator", []byte(" s:e/c@r?t%20\" \n"), 0o400); err != nil {
		t.Fatal(err)
	}
	s := start(t, embedded.Config{StoreDir: dir})
	if s.Password("operator") != "s:e/c@r?t%20\"" {
		t.Errorf("%q", s.Password("operator"))
	}
	connect(t, s.ClientURL("operator"))
}

func TestPassword_UnsafeFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"others may read it":    {"secret", 0o604, "chmod 600 "},
		"the group may read it": {"secret", 0o640, "chmod 600 "},
		"it is empty":           {"", 0o600, "is empty"},
		"it is only white":      {" \n", 0o600, "is empty"},
	} {
		dir := t.TempDir()
		file := dir + "/nats-passwords/desk"
		if err := os.Mkdir(dir+"/nats-passwords", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := embedded.Start(embedded.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password", name)
		}
	}
}
