package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

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
	if s := load(t, "LISTEN=", "STORE_BUDGET=  "); s.Listen != ":8080" || s.StoreBudget != 2*time.Second || s.IsSet("SINE_RELAY_LISTEN") {
		t.Errorf("%q %s", s.Listen, s.StoreBudget)
	}
}

// envconfig reports the first problem only, and a YAML reader stops at what it
// does not know.
func TestTrap_EveryFaultIsReportedAtOnce(t *testing.T) {
	settings := withFile(t, `
defaults: {timeZone: Mars/Olympus, timezone: UTC}
integrations:
- {name: Head Office, decisionBudget: soon, rejectBy: shouting}
- {name: dock, sitee: hq, events: checked_in}
- {name: dock, keys: [x]}
`, "dokc", "dock")
	text := faulty(t, append(settings, "STORE_BUDGET=2x", "BODY_LIMIT=1MB", "NATS_REPLICAS=three",
		"NATS_LISTEN_PLAINTEXT=maybe", "LOG_LEVEL=loud", "LISSEN=:1", "NATS_URL=http://x", "TLS_CERT_FILE=/nowhere/cert.pem")...)
	wanted := []string{
		`SINE_RELAY_STORE_BUDGET: "2x" is not a duration; write for example`,
		`SINE_RELAY_BODY_LIMIT: "1MB" is not a size; did you mean 1MiB?`,
		`SINE_RELAY_NATS_REPLICAS: "three" is not a whole number`,
		`SINE_RELAY_NATS_LISTEN_PLAINTEXT: "maybe" is neither true nor false`,
		`SINE_RELAY_LOG_LEVEL: "loud" is none of`,
		`SINE_RELAY_LISSEN: is not a setting; did you mean SINE_RELAY_LISTEN?`,
		`SINE_RELAY_NATS_URL: server 1 begins with none of nats://`,
		`SINE_RELAY_TLS_CERT_FILE: what it names cannot be read: no such file`,
		`SINE_RELAY_TLS_KEY_FILE: must be set together with SINE_RELAY_TLS_CERT_FILE`,
		`i.yaml:2: defaults: unknown field "timezone"; did you mean timeZone?`,
		`i.yaml:5: integration dock: unknown field "sitee"; did you mean site?`,
		`i.yaml:5: integration dock: here belongs a list, not a single value`,
		`i.yaml:6: integration dock: unknown field "keys": this file holds no secret`,
		`i.yaml:2: defaults: timeZone: "Mars/Olympus" is not a time zone`,
		`i.yaml:4: integration "Head Office": name: "Head Office" must match [A-Za-z0-9_-]{1,64}; how about "head-office"?`,
		`i.yaml:4: integration "Head Office": decisionBudget: "soon" is not a duration`,
		`i.yaml:4: integration "Head Office": rejectBy: "shouting" is neither code nor status`,
		`i.yaml:6: integration dock: name: "dock" is used twice, first at i.yaml:5`,
	}
	expect(t, text, wanted...)
	if got := strings.Count(text, "\n") + 1; got != len(wanted) {
		t.Errorf("%d faults for %d mistakes:\n%s", got, len(wanted), text)
	}
}

func TestFaultsKeepTheirOrder(t *testing.T) {
	settings := []string{"LISTEN=x", "ADMIN_LISTEN=y", "MAX_EVENTS=0", "JSON_DEPTH=0", "LISSEN=1", "SITEE=2", "TLS_KEY_FILE=/nowhere"}
	first := faulty(t, settings...)
	for range 20 {
		if again := faulty(t, settings...); again != first {
			t.Fatalf("first\n%s\nand then\n%s", first, again)
		}
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

func TestASecretFromAFileCountsAsSet(t *testing.T) {
	dir := files(t, map[string]string{"keys": key})
	if s := load(t, "KEYS=", "KEYS_FILE="+dir+"/keys"); !s.IsSet("SINE_RELAY_KEYS") {
		t.Error("it does not")
	}
}
