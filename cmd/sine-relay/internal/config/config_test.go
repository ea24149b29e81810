package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
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
// has no faults.
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
		t.Fatalf("faults:\n%v", err)
	}
	return s
}

func TestDefaults(t *testing.T) {
	s := load(t)
	if s.Listen != ":8080" || s.BodyLimit != 256<<10 || s.EventMaxAge != 30*24*time.Hour || s.DecisionBudget != 2500*time.Millisecond || s.Level != slog.LevelInfo {
		t.Errorf("%+v", s.Environment)
	}
	if len(s.Integrations) != 1 || s.Integrations[0].Name != "default" || s.Integrations[0].Site != "default" || len(s.Integrations[0].Keys) != 1 {
		t.Errorf("%+v", s.Integrations)
	}
}

// envconfig lets a variable that is set but empty suppress its default.
func TestTrap_AnEmptyVariableKeepsItsDefault(t *testing.T) {
	if s := load(t, "LISTEN=", "STORE_BUDGET="); s.Listen != ":8080" || s.StoreBudget != 2*time.Second || s.IsSet("SINE_RELAY_LISTEN") {
		t.Errorf("%q %s", s.Listen, s.StoreBudget)
	}
}

// envconfig reports the first problem only.
func TestTrap_EveryFaultIsReportedAtOnce(t *testing.T) {
	dir := files(t, map[string]string{
		"i.yaml":    "integrations:\n- {name: Head Office, decisionBudget: soon, rejectBy: shouting}\n- {name: dock, timeZone: Mars/Olympus}\n- {name: dock}\n",
		"keys/doc":  key,
		"keys/dock": key,
	})
	_, err := Load(environ("STORE_BUDGET=2x", "BODY_LIMIT=1MB", "NATS_REPLICAS=three", "NATS_LISTEN_PLAINTEXT=maybe", "LOG_LEVEL=loud",
		"LISSEN=:1", "NATS_URL=http://x", "TLS_CERT_FILE=/nowhere/cert.pem", "KEYS=",
		"INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys"), nil)
	for _, want := range []string{
		`SINE_RELAY_STORE_BUDGET: "2x" is no duration`,
		`SINE_RELAY_BODY_LIMIT: "1MB" is no size`,
		`SINE_RELAY_NATS_REPLICAS: "three" is no whole number`,
		`SINE_RELAY_NATS_LISTEN_PLAINTEXT: "maybe" is neither true nor false`,
		`SINE_RELAY_LOG_LEVEL: "loud" is none of`,
		`SINE_RELAY_LISSEN: is not a setting; did you mean SINE_RELAY_LISTEN?`,
		`SINE_RELAY_NATS_URL: server 1 has the scheme "http"`,
		`SINE_RELAY_TLS_CERT_FILE: stat /nowhere/cert.pem`,
		`SINE_RELAY_TLS_KEY_FILE: must be set together with SINE_RELAY_TLS_CERT_FILE`,
		`i.yaml: integrations[0].name: "Head Office" must match`, `how about "head-office"?`,
		`i.yaml: integrations[0].decisionBudget: "soon" is no duration`,
		`i.yaml: integrations[0].rejectBy: "shouting" is neither code nor status`,
		`i.yaml: integrations[1].timeZone: "Mars/Olympus" is no time zone`,
		`i.yaml: integrations[2].name: "dock" is used twice`,
		`SINE_RELAY_KEYS_DIR: the file doc belongs to no integration; did you mean dock?`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in:\n%v", want, err)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings []string
		want     string
	}{
		{"no NATS at all", []string{"NATS_URL="}, "SINE_RELAY_NATS_URL: is not set"},
		{"two kinds of NATS", []string{"NATS_STORE_DIR=/x"}, "SINE_RELAY_NATS_STORE_DIR: is set, and so is SINE_RELAY_NATS_URL"},
		{"no key", []string{"KEYS="}, "SINE_RELAY_KEYS: is not set"},
		{"only separators for keys", []string{"KEYS=, ,"}, `"default" has no key`},
		{"two ways to sign in", []string{"NATS_TOKEN=t", "NATS_USER=u", "NATS_PASSWORD=p"}, "SINE_RELAY_NATS_TOKEN, SINE_RELAY_NATS_USER: are 2 ways"},
		{"a user without a password", []string{"NATS_USER=u"}, "SINE_RELAY_NATS_PASSWORD: must be set together"},
		{"a missing CA", []string{"NATS_CA_FILE=/nowhere"}, "SINE_RELAY_NATS_CA_FILE"},
		{"an address without a port", []string{"LISTEN=localhost"}, "SINE_RELAY_LISTEN"},
		{"a budget that outlasts the answer", []string{"DECISION_BUDGET=11s"}, "SINE_RELAY_DECISION_BUDGET: 11s is not shorter than SINE_RELAY_WRITE_TIMEOUT"},
		{"a limit of nothing", []string{"MAX_FACTS=0"}, "SINE_RELAY_MAX_FACTS: must be more than nothing"},
		{"less memory than one body", []string{"MAX_BODY_MEMORY=1KiB"}, "no body would fit"},
		{"a prefix with a wildcard", []string{"SUBJECT_PREFIX=visitors.*"}, "SINE_RELAY_SUBJECT_PREFIX"},
		{"a stream with a dot", []string{"EVENT_STREAM=a.b"}, "SINE_RELAY_EVENT_STREAM"},
		{"one stream for both", []string{"QUARANTINE_STREAM=VISITORS"}, "SINE_RELAY_QUARANTINE_STREAM"},
		{"events kept shorter than repeats are known", []string{"EVENT_STREAM_MAX_AGE=1h"}, "SINE_RELAY_EVENT_STREAM_MAX_AGE: 1h0m0s is shorter"},
		{"too many replicas", []string{"NATS_REPLICAS=7"}, "not between 1 and 5"},
		{"a site that is no name", []string{"SITE=Head Office"}, `integration default.site: "Head Office" must match`},
		{"an unknown zone", []string{"TIME_ZONE=Mars"}, `"Mars" is no time zone`},
		{"a negative delay", []string{"DRAIN_DELAY=-1s"}, "SINE_RELAY_DRAIN_DELAY"},
		{"a log format", []string{"LOG_FORMAT=xml"}, "SINE_RELAY_LOG_FORMAT"},
		{"a missing integrations file", []string{"INTEGRATIONS_FILE=/nowhere"}, "SINE_RELAY_INTEGRATIONS_FILE"},
		{"a missing directory of keys", []string{"KEYS_DIR=/nowhere"}, "SINE_RELAY_KEYS_DIR"},
		{"a missing secret file", []string{"NATS_TOKEN_FILE=/nowhere"}, "SINE_RELAY_NATS_TOKEN_FILE"},
		{"a file for what is no secret", []string{"LISTEN_FILE=/x"}, "SINE_RELAY_LISTEN_FILE: is not a setting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(environ(c.settings...), nil)
			var faults Faults
			if !errors.As(err, &faults) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

func TestFaultsOfTheFile(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"not YAML", "integrations: [", "i.yaml:"},
		{"empty", "", "i.yaml"},
		{"a list", "- a", "i.yaml:1: "},
		{"an unknown field", "integrations:\n- name: a\n  sitee: hq\n", `i.yaml:3: unknown field "sitee"; did you mean site?`},
		{"an unknown field of the defaults", "defaults: {timezone: UTC}\nintegrations: [{name: a}]\n", `unknown field "timezone"; did you mean timeZone?`},
		{"a field twice", "integrations:\n- name: a\n  name: b\n", "i.yaml:3: "},
		{"two documents", "integrations: []\n---\nintegrations: []\n", "single document"},
		{"a key in the file", "integrations: [{name: a, keys: [x]}]\n", `unknown field "keys"`},
		{"an unknown situation", "integrations: [{name: a, fallbacks: {time_out: {answer: accept}}}]\n", "did you mean timeout?"},
		{"an unknown answer", "integrations: [{name: a, fallbacks: {timeout: {answer: perhaps}}}]\n", `"perhaps" is neither accept nor reject`},
		{"an unknown placeholder", "integrations: [{name: a, answers: {reject: {m: '{visitor}'}}}]\n", "answers.reject: m: "},
		{"an empty answer", "integrations: [{name: a, answers: {reject: {}}}]\n", "answers.reject: is empty"},
		{"an unknown event", "integrations: [{name: a, events: [arrived]}]\n", "events[0]: \"arrived\" is no event"},
		{"a name for an unknown event", "integrations: [{name: a, eventNames: {x: y}}]\n", `eventNames.x: "y" is no event`},
		{"a decider with a wildcard", "integrations: [{name: a, decider: '>'}]\n", `decider: ">" must match`},
		{"the default integration twice", "integrations: [{name: default}]\n", "SINE_RELAY_KEYS: defines the integration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := files(t, map[string]string{"i.yaml": c.content, "keys/a": key})
			_, err := Load(environ("INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys"), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

func TestNinetyIntegrationsAreNinetyShortEntries(t *testing.T) {
	var file strings.Builder
	file.WriteString("defaults:\n  timeZone: Australia/Adelaide\n  decisionBudget: 1s\n  rejectBy: status\n" +
		"  fallbacks: {timeout: {answer: accept}, no_decider: {visitorText: Nobody is in}}\n  eventNames: {arrived: checked_in}\nintegrations:\n")
	contents := map[string]string{}
	for i := range 90 {
		fmt.Fprintf(&file, "- {name: lobby-%d, site: site-%d}\n", i, i%45)
		contents[fmt.Sprintf("keys/lobby-%d", i)] = fmt.Sprintf("a-key-of-its-own-%d\n", i)
	}
	file.WriteString("- {name: odd, decisionBudget: 3s, fallbacks: {timeout: {answer: reject, visitorText: Wait}}, eventNames: {left: checked_out}}\n")
	contents["keys/odd"] = "# a comment\n\n# name: spring\nan-odd-key-0123456789\nanother-odd-key-0123456789\n"
	contents["i.yaml"] = file.String()
	dir := files(t, contents)
	s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	if len(s.Integrations) != 91 {
		t.Fatalf("%d integrations", len(s.Integrations))
	}
	first, odd := s.Integrations[0], s.Integrations[90]
	if first.Budget != time.Second || first.Zone.String() != "Australia/Adelaide" || first.Say != relay.SayStatus || first.Policy.Fallbacks["timeout"].Verdict != visit.Accept {
		t.Errorf("the first: %+v", first)
	}
	if odd.Site != "odd" || odd.Budget != 3*time.Second || odd.Policy.Fallbacks["timeout"].VisitorText != "Wait" || odd.Policy.Fallbacks["no_decider"].VisitorText != "Nobody is in" {
		t.Errorf("the odd one: %+v", odd)
	}
	if odd.Events["arrived"] != visit.CheckedIn || odd.Events["left"] != visit.CheckedOut {
		t.Errorf("its event names: %v", odd.Events)
	}
	if names := s.Entries[90].KeyNames; !slices.Equal(names, []string{"spring", "odd#2"}) {
		t.Errorf("its keys: %v", names)
	}
}

// Kubernetes keeps the files of a mounted secret behind links in directories
// whose names begin with two dots.
func TestKeysFromAMountedSecret(t *testing.T) {
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

func TestServiceLinksAreNotOurs(t *testing.T) {
	load(t, "SERVICE_HOST=10.0.0.1", "SERVICE_PORT=8080", "SERVICE_PORT_HTTP=8080", "PORT=tcp://10.0.0.1:8080",
		"PORT_8080_TCP=tcp://10.0.0.1:8080", "PORT_8080_TCP_ADDR=10.0.0.1", "PORT_8080_TCP_PORT=8080", "PORT_8080_TCP_PROTO=tcp",
		"ADMIN_SERVICE_HOST=10.0.0.2", "HEADLESS_PORT_9090_TCP_ADDR=10.0.0.2")
}

func TestSecrets(t *testing.T) {
	dir := files(t, map[string]string{"token": " Zsecret-token\n", "empty": "\n", "keys": "first-key-0123456789\nsecond-key-0123456789\n"})
	s := load(t, "NATS_TOKEN_FILE="+dir+"/token", "KEYS=", "KEYS_FILE="+dir+"/keys")
	if s.NATSToken.Reveal() != "Zsecret-token" || len(s.Integrations[0].Keys) != 2 {
		t.Errorf("token %q, %d keys", s.NATSToken.Reveal(), len(s.Integrations[0].Keys))
	}
	printed := fmt.Sprintf("%v %+v %#v %s %q", s.NATSToken, s.Environment, s.NATSToken, s.NATSToken, s.NATSToken)
	encoded, err := json.Marshal(s.Environment)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", s.NATSToken, "all", s.Environment)
	if all := printed + string(encoded) + log.String(); strings.Contains(all, "Zsecret") || !strings.Contains(all, mask) {
		t.Errorf("a secret was printed: %s", all)
	}
	_, err = Load(environ("NATS_TOKEN=Zsecret", "NATS_TOKEN_FILE="+dir+"/token", "NATS_PASSWORD_FILE="+dir+"/empty", "NATS_URL=nats://u:Zsecret@ho st:1,Zsecret://x", "KEYS=Zsecret,Zsecret"), nil)
	if err == nil || strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "Zsecret,") {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"SINE_RELAY_NATS_TOKEN_FILE: is set, and so is SINE_RELAY_NATS_TOKEN", "SINE_RELAY_NATS_PASSWORD_FILE: ", "server 1 is no URL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	dir := files(t, map[string]string{
		"i.yaml": "defaults: {rejectionConfirmed: true}\nintegrations:\n" +
			"- {name: a, site: hq, events: [checked_in]}\n- {name: b, site: hq}\n- {name: c, site: hq, events: [check_in_request], rejectionConfirmed: false}\n",
		"keys/a": key, "keys/b": key, "keys/c": "short",
	})
	s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	all := strings.Join(s.Warnings, "\n")
	for _, want := range []string{
		"site hq: the integrations a, b may each send checked_in", "integrations a and b share a key",
		"the key c#1 has fewer than 16", "rejection said by code at c:",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
	if strings.Contains(all, "send checked_out") || strings.Contains(all, key) {
		t.Errorf("too much in:\n%s", all)
	}
}

func TestDefaultsOfTheCallerGiveWay(t *testing.T) {
	s, err := Load(environ("LISTEN=:1"), map[string]string{"SINE_RELAY_LISTEN": ":2", "SINE_RELAY_ADMIN_LISTEN": ":3"})
	if err != nil || s.Listen != ":1" || s.AdminListen != ":3" {
		t.Errorf("%s %s %v", s.Listen, s.AdminListen, err)
	}
	if !s.IsSet("SINE_RELAY_LISTEN") || s.IsSet("SINE_RELAY_ADMIN_LISTEN") {
		t.Error("a default counts as set, or a setting does not")
	}
}

func TestSizesAndDurations(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "65536": 65536, "64 KiB": 64 << 10, "2GiB": 2 << 30, "7B": 7, "1KB": -1, "-1": -1, "x": -1, "9999999999TiB": -1, "": -1} {
		if got, ok := parseSize(text); ok != (want >= 0) || (ok && got != want) {
			t.Errorf("size %q: %d %v", text, got, ok)
		}
	}
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "2.5s": 2500 * time.Millisecond, "0d": 0, "-1d": -1, "1.5d": -1, "x": -1} {
		if got, ok := parseDuration(text); ok != (want >= 0) || (ok && got != want) {
			t.Errorf("duration %q: %s %v", text, got, ok)
		}
	}
}

func TestDocsNameEverySetting(t *testing.T) {
	docs := Docs()
	for _, s := range settings {
		if s.help == "" || !strings.Contains(docs, "`"+Prefix+s.name+"`") {
			t.Errorf("%s has no line", s.name)
		}
	}
}
