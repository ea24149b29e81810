package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const key = "lobby-key-0123456789"

// files writes files into a directory of the test and returns it.
func files(t testing.TB, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range contents {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// environ makes an environment of settings like "LISTEN=…", on top of one that
// has no problems.
func environ(settings ...string) []string {
	all := []string{"HOME=/root", "SINE_RELAY_NATS_URL=nats://nats:4222", "SINE_RELAY_KEYS=" + key}
	for _, s := range settings {
		name, _, _ := strings.Cut(s, "=")
		all = slices.DeleteFunc(all, func(e string) bool { return strings.HasPrefix(e, Prefix+name+"=") })
		all = append(all, Prefix+s)
	}
	return all
}

func load(t *testing.T, settings ...string) Settings {
	t.Helper()
	s, err := Load(environ(settings...), nil)
	if err != nil {
		t.Fatalf("problems:\n%v", err)
	}
	if len(s.NonFatal) > 0 {
		t.Fatalf("problems:\n%v", s.NonFatal)
	}
	return s
}

// invalid loads settings that have problems and returns their text.
func invalid(t *testing.T, settings ...string) string {
	t.Helper()
	s, err := Load(environ(settings...), nil)
	f := s.NonFatal
	if err != nil && !errors.As(err, &f) || len(f) == 0 {
		t.Fatalf("no problems: %v", err)
	}
	for _, problem := range f {
		if problem.Where == "" || problem.What == "" {
			t.Errorf("half a problem: %+v", problem)
		}
	}
	return f.Error()
}

// withFile makes the settings of an integrations file and a key for each of the
// integrations named.
func withFile(t *testing.T, content string, integrations ...string) []string {
	t.Helper()
	contents := map[string]string{"i.yaml": content, "keys/.keep": ""}
	for _, name := range integrations {
		contents["keys/"+name] = "key-of-integration-" + name
	}
	dir := files(t, contents)
	return []string{"KEYS=", "INTEGRATIONS_FILE=" + dir + "/i.yaml", "KEYS_DIR=" + dir + "/keys"}
}

func expect(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
}

func expectNot(t *testing.T, text string, unwanted ...string) {
	t.Helper()
	for _, word := range unwanted {
		if strings.Contains(text, word) {
			t.Errorf("%s in:\n%s", word, text)
		}
	}
}
