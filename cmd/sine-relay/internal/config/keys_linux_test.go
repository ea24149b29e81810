package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Root may read everything, and a thread that has become somebody else may not.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		do()
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		err := syscall.Setfsuid(65534)
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Who takes away the right to read a file takes its keys away, at a reload as at a
// start. A disk that fails does not.
func TestAPIKeys_FileWithoutReadPermissionRevokesItsKeys(t *testing.T) {
	dir := files(t, map[string]string{"i.yaml": "integrations: [{name: lobby}, {name: dock}]", "keys/lobby": key, "keys/dock": key + "2"})
	s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	for _, path := range []string{filepath.Dir(dir), dir, dir + "/keys"} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir+"/keys/dock", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"/keys/lobby", 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		for name, before := range map[string]*Keyring{"at a reload": s.Keyring, "at a start": nil} {
			k := s.ReadKeys(before)
			if len(k.Of("lobby")) != 0 || len(k.Of("dock")) != 1 || len(k.Unreadable()) != 0 {
				t.Errorf("%s: %d and %d keys", name, len(k.Of("lobby")), len(k.Of("dock")))
			}
			problems, _ := k.Check([]string{"lobby", "dock"}, true)
			expect(t, problems.Error(), "keys/lobby: cannot be read: permission denied; no key in it is accepted", `integration lobby: no API key`)
		}
	})
}

func TestWarnings_NameSecretFilesReadableByAll(t *testing.T) {
	const warned = "is readable by every user of this machine"
	for _, c := range []struct {
		name      string
		file, dir os.FileMode
		mounted   bool
		want      bool
	}{
		{"readable by all", 0o644, 0o755, false, true},
		{"by its group", 0o640, 0o755, false, false},
		{"by its owner", 0o600, 0o755, false, false},
		{"by all who come as far", 0o644, 0o750, false, false},
		{"in what Kubernetes mounts", 0o644, 0o755, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := files(t, map[string]string{"i.yaml": "integrations: [{name: lobby}]", "keys/lobby": key, "more/keys": key, "more/token": "t"})
			for _, at := range []string{"keys", "more"} {
				if c.mounted {
					if err := os.Symlink(".", filepath.Join(dir, at, "..data")); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Chmod(filepath.Join(dir, at), c.dir); err != nil {
					t.Fatal(err)
				}
			}
			for _, file := range []string{"keys/lobby", "more/keys", "more/token"} {
				if err := os.Chmod(filepath.Join(dir, file), c.file); err != nil {
					t.Fatal(err)
				}
			}
			s := load(t, "KEYS=", "KEYS_FILE="+dir+"/more/keys", "NATS_TOKEN_FILE="+dir+"/more/token", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
			all := strings.Join(s.Warnings.Lines(), "\n")
			for _, want := range []string{"keys/lobby, SINE_RELAY_KEYS_FILE: contains API keys and " + warned, "SINE_RELAY_NATS_TOKEN_FILE: the file is readable by every user of this machine"} {
				if strings.Contains(all, want) != c.want {
					t.Errorf("%q is among the warnings: %t\n%s", want, !c.want, all)
				}
			}
		})
	}
}
