package dev

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

func TestDev_OccupiedDefaultPortIsReplaced(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	if got := free(address); got == address || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("%s is taken, and %s was chosen", address, got)
	}
	err = run("SINE_RELAY_LISTEN="+address, "SINE_RELAY_NATS_STORE_DIR="+t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "SINE_RELAY_LISTEN") {
		t.Errorf("a port that was set and is taken: %v", err)
	}
}

func TestDevKey_IsMadeOnceAndFoundAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "dev-key")
	key, err := devKey(file)
	if err != nil || len(key) < 20 {
		t.Fatalf("%q %v", key, err)
	}
	if again, err := devKey(file); err != nil || again != key {
		t.Errorf("%q and then %q, %v", key, again, err)
	}
}

// A power cut may leave a file without its content, or with zeros in its place.
func TestDevKey_AnEmptyFileHoldsNone(t *testing.T) {
	for name, content := range map[string]string{"nothing": "", "blanks": " \n", "zeros": strings.Repeat("\x00", 27)} {
		dir := t.TempDir()
		file := filepath.Join(dir, "dev-key")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := devKey(file)
		if err != nil || !devKeyForm.MatchString(key) {
			t.Errorf("%s: %q %v", name, key, err)
		}
		if kept, err := os.ReadFile(file); err != nil || string(kept) != key+"\n" {
			t.Errorf("%s: the file holds %q, %v", name, kept, err)
		}
	}
}

func TestDev_NamesTheFileOfAKeyThatItCannotUse(t *testing.T) {
	for name, c := range map[string]struct {
		make func(file string) error
		want string
	}{
		"a directory":   {func(f string) error { return os.MkdirAll(f, 0o700) }, `the API key of dev: .*dev-key.*directory`},
		"too short":     {func(f string) error { return os.WriteFile(f, []byte("short\n"), 0o600) }, `dev-key must hold one key, of 8 or more`},
		"two keys":      {func(f string) error { return os.WriteFile(f, []byte("key-number-one,key-number-two"), 0o600) }, `remove the file`},
		"a comment":     {func(f string) error { return os.WriteFile(f, []byte("#key-number-one"), 0o600) }, `remove the file`},
		"nothing there": {func(f string) error { return os.Remove(filepath.Dir(f)) }, ""},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := c.make(filepath.Join(dir, "dev-key")); err != nil {
			t.Fatal(err)
		}
		_, _, err := defaultsOf([]string{"SINE_RELAY_NATS_STORE_DIR=" + dir})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !regexp.MustCompile(c.want).MatchString(err.Error())):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	err := run("SINE_RELAY_NATS_STORE_DIR=" + filepath.Join(t.TempDir(), "a\x00b"))
	if faults := (config.Problems)(nil); err == nil || errors.As(err, &faults) {
		t.Errorf("%v", err)
	}
}

func run(environ ...string) error {
	return Run(context.Background(), Options{Environ: environ, Stdout: io.Discard, Stderr: io.Discard})
}
