package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Kubernetes keeps the files of a mounted secret behind links in directories
// whose names begin with two dots.
func TestAPIKeys_ReadFromAMountedKubernetesSecret(t *testing.T) {
	dir := files(t, map[string]string{"..2026_11_23/default": key, "..2026_11_23/.hidden": "x"})
	for link, target := range map[string]string{"..data": "..2026_11_23", "default": "..data/default"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	iFile := files(t, map[string]string{"i.yaml": "integrations: [{name: default}]"})
	s := load(t, "KEYS=", "KEYS_DIR="+dir, "INTEGRATIONS_FILE="+iFile+"/i.yaml")
	if len(s.Integrations[0].Keys) != 1 {
		t.Errorf("%d keys", len(s.Integrations[0].Keys))
	}
}

func TestAPIKeys_FileHoldsNamesAndComments(t *testing.T) {
	dir := files(t, map[string]string{
		"i.yaml": "integrations: [{name: a}]",
		"keys/a": "# of the reception\n\n# name: 2026-spring\n key, with: signs #1\r\n#name:autumn\nanother-key-012345\na-third-key-012345\n#the-last-is-not-a-key",
	})
	s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	if names := s.Entries[0].KeyNames; !slices.Equal(names, []string{"2026-spring", "autumn", "a#3"}) {
		t.Errorf("named %q", names)
	}
}

// What a label cannot hold would end the metrics of the whole relay.
func TestAPIKeys_UnprintableKeyNameIsIgnored(t *testing.T) {
	for _, name := range []string{"caf\xe9", "a\x1b[2Jb", strings.Repeat("x", 65)} {
		dir := files(t, map[string]string{"i.yaml": "integrations: [{name: a}]", "keys/a": "# name: " + name + "\n" + key + "\n"})
		s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
		if names := s.Entries[0].KeyNames; !slices.Equal(names, []string{"a#1"}) {
			t.Errorf("named %q", names)
		}
		if !slices.ContainsFunc(s.Warnings.Lines(), func(w string) bool { return strings.HasPrefix(w, "keys/a:1: integration a: the name of a key must be") }) {
			t.Errorf("no warning: %q", s.Warnings)
		}
	}
}

// A directory may be called as a setting is.
func TestAPIKeys_DirectoryMayBeNamedLikeASetting(t *testing.T) {
	dir := filepath.Join(files(t, map[string]string{Prefix + "keys/a": key}), Prefix+"keys")
	s := Settings{Environment: Environment{KeysDir: dir}}
	before := s.ReadKeys(nil)
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if n := len(s.ReadKeys(before).Of("a")); n != 1 {
		t.Errorf("%d keys while the directory is away", n)
	}
}

func TestAPIKeys_MissingAndInvalidKeysAreReported(t *testing.T) {
	const file = "integrations: [{name: lobby}, {name: dock}]"
	for _, c := range []struct {
		name string
		keys map[string]string
		want []string
	}{
		{"no file at all", nil, []string{`keys/lobby (lobby), keys/dock (dock): no API key`}},
		{"an empty file", map[string]string{"lobby": key, "dock": "\n# nothing\n"}, []string{`keys/dock: integration dock: no API key: every request of this integration gets 401; add one`}},
		{"a key of seven characters", map[string]string{"lobby": "# name: old\n7-signs\n8-signs-\n", "dock": key}, []string{"keys/lobby:2: integration lobby, key old: has fewer than 8 characters and is not accepted: use 16 or more"}},
		{"a byte order mark", map[string]string{"lobby": "\ufeff" + key, "dock": key}, []string{"keys/lobby:1: integration lobby: contains a non-printable character"}},
		{"another encoding", map[string]string{"lobby": key, "dock": "# x\nk\x00e\x00y\x00"}, []string{"keys/dock:2: integration dock: contains a non-printable character"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			contents := map[string]string{"i.yaml": file, "keys/.keep": ""}
			for name, content := range c.keys {
				contents["keys/"+name] = content
			}
			dir := files(t, contents)
			text := invalid(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
			expect(t, text, c.want...)
			expectNot(t, text, key)
		})
	}
}

func TestAPIKeys_MissingDirectoryIsOneProblem(t *testing.T) {
	dir := files(t, map[string]string{"i.yaml": "integrations: [{name: lobby}, {name: dock}]"})
	text := invalid(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml")
	expect(t, text, "SINE_RELAY_KEYS_DIR: is required")
	if strings.Count(text, "\n") != 0 {
		t.Errorf("more than one:\n%s", text)
	}
}

func TestIntegrations_EnvironmentAddsOneToTheFile(t *testing.T) {
	settings := withFile(t, "defaults: {rejectMode: status, timeZone: Europe/Vienna}\nintegrations: [{name: lobby}]", "lobby")
	s := load(t, append(settings, "KEYS="+key, "SITE=hq")...)
	if len(s.Integrations) != 2 || s.Entries[1].Name != "default" || s.Entries[1].Site != "hq" || s.Entries[1].RejectMode != "status" || s.Integrations[1].Zone.String() != "Europe/Vienna" {
		t.Errorf("%+v", s.Entries)
	}
}

// The file of the environment's own integration is as any other.
func TestAPIKeys_KeysFileSurvivesAMissingVolume(t *testing.T) {
	dir := files(t, map[string]string{"v/keys": key + ", " + key + "2"})
	file := filepath.Join(dir, "v", "keys")
	s := load(t, "KEYS=", "KEYS_FILE="+file)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name    string
		take    func()
		keys    int
		problem string
	}{
		{"its volume is away", func() { must(os.Rename(dir+"/v", dir+"/away")) }, 2, "SINE_RELAY_KEYS_FILE: cannot be read: no such file or directory; its previous keys remain accepted"},
		{"its volume is back", func() { must(os.Rename(dir+"/away", dir+"/v")) }, 2, ""},
		{"a key is taken out", func() { must(os.WriteFile(file, []byte(key), 0o600)) }, 1, ""},
		{"it is emptied", func() { must(os.WriteFile(file, nil, 0o600)) }, 0, "SINE_RELAY_KEYS_FILE: integration default: no API key"},
		{"it is filled", func() { must(os.WriteFile(file, []byte(key), 0o600)) }, 1, ""},
		{"it is deleted", func() { must(os.Remove(file)) }, 0, "SINE_RELAY_KEYS_FILE: cannot be read: no such file or directory; no key in it is accepted"},
	} {
		step.take()
		before := s.Keyring.Digest()
		s.Keyring = s.ReadKeys(s.Keyring)
		if s.Keyring.Digest() == before {
			t.Errorf("%s: it is not noticed", step.name)
		}
		problems, _ := s.Keyring.Check([]string{"default"}, true)
		if got := len(s.Keyring.Of("default")); got != step.keys || (len(problems) > 0) != (step.problem != "") {
			t.Errorf("%s: %d keys, and %v", step.name, got, problems)
		}
		expect(t, problems.Error(), step.problem)
		expectNot(t, problems.Error(), dir)
	}
	started, err := Load(environ("KEYS=", "KEYS_FILE="+file), nil)
	if err != nil || len(started.Integrations) != 1 || len(started.Integrations[0].Keys) != 0 || len(started.NonFatal) == 0 {
		t.Errorf("a start without it: %v, %v", started.NonFatal, err)
	}
}
