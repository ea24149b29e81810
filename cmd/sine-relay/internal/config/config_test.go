package config

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestConfig_DefaultsApply(t *testing.T) {
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
- {name: Head Office, decisionBudget: soon, rejectMode: shouting}
- {name: dock, sitee: hq, kinds: checked_in}
- {name: dock, keys: [x]}
`, "dokc", "dock")
	text := invalid(t, append(settings, "STORE_BUDGET=2x", "BODY_LIMIT=1MB", "NATS_REPLICAS=three",
		"NATS_LISTEN_PLAINTEXT=maybe", "LOG_LEVEL=loud", "LISSEN=:1", "NATS_URL=http://x", "TLS_CERT_FILE=/nowhere/cert.pem")...)
	wanted := []string{
		`SINE_RELAY_STORE_BUDGET: must be a duration such as 500ms, 2.5s or 30d, got "2x"`,
		`SINE_RELAY_BODY_LIMIT: must be a size such as 65536, 256KiB or 2GiB, got "1MB"; did you mean 1MiB?`,
		`SINE_RELAY_NATS_REPLICAS: must be a whole number, got "three"`,
		`SINE_RELAY_NATS_LISTEN_PLAINTEXT: must be true or false, got "maybe"`,
		`SINE_RELAY_LOG_LEVEL: must be debug, info, warn or error, got "loud"`,
		`SINE_RELAY_LISSEN: unknown setting; did you mean SINE_RELAY_LISTEN?`,
		`SINE_RELAY_NATS_URL: server 1 must begin with nats://`,
		`SINE_RELAY_TLS_CERT_FILE: cannot read the file: no such file`,
		`SINE_RELAY_TLS_KEY_FILE: must be set together with SINE_RELAY_TLS_CERT_FILE`,
		`i.yaml:2: defaults: unknown field "timezone"; did you mean timeZone?`,
		`i.yaml:5: integration dock: unknown field "sitee"; did you mean site?`,
		`i.yaml:5: integration dock: kinds: must be a list, not a single value`,
		`i.yaml:6: integration dock: unknown field "keys": this file holds no secret`,
		`i.yaml:2: defaults: timeZone: must be a time zone of the IANA database such as Australia/Adelaide, got "Mars/Olympus"`,
		`i.yaml:4: integration "Head Office": name: must match [A-Za-z0-9_-]{1,64}, got "Head Office"; did you mean "head-office"?`,
		`i.yaml:4: integration "Head Office": decisionBudget: must be a duration such as 500ms, 2.5s or 30d, got "soon"`,
		`i.yaml:4: integration "Head Office": rejectMode: must be code or status, got "shouting"`,
		`i.yaml:6: integration dock: name: "dock" is used twice, first at i.yaml:5`,
	}
	expect(t, text, wanted...)
	if got := strings.Count(text, "\n") + 1; got != len(wanted) {
		t.Errorf("%d problems for %d mistakes:\n%s", got, len(wanted), text)
	}
}

func TestConfig_ProblemsKeepTheirOrder(t *testing.T) {
	settings := []string{"LISTEN=x", "ADMIN_LISTEN=y", "MAX_EVENTS=0", "JSON_DEPTH=0", "LISSEN=1", "SITEE=2", "TLS_KEY_FILE=/nowhere"}
	first := invalid(t, settings...)
	for range 20 {
		if again := invalid(t, settings...); again != first {
			t.Fatalf("first\n%s\nand then\n%s", first, again)
		}
	}
}

func TestConfig_EnvironmentOverridesCallerDefaults(t *testing.T) {
	s, err := Load(environ("LISTEN=:1"), map[string]string{"SINE_RELAY_LISTEN": ":2", "SINE_RELAY_ADMIN_LISTEN": ":3"})
	if err != nil || s.Listen != ":1" || s.AdminListen != ":3" {
		t.Errorf("%s %s %v", s.Listen, s.AdminListen, err)
	}
	if !s.IsSet("SINE_RELAY_LISTEN") || s.IsSet("SINE_RELAY_ADMIN_LISTEN") {
		t.Error("a default counts as set, or a setting does not")
	}
}

func TestSecret_FromAFileCountsAsSet(t *testing.T) {
	dir := files(t, map[string]string{"keys": key})
	if s := load(t, "KEYS=", "KEYS_FILE="+dir+"/keys"); !s.IsSet("SINE_RELAY_KEYS") {
		t.Error("it does not")
	}
}

// What stands in one integration's entry is its own; what others build on is
// everybody's.
func TestIntegrations_ProblemOfOneLeavesTheOthersValid(t *testing.T) {
	for _, c := range []struct {
		name, content string
		broken        []string
		others        []string
	}{
		{"an unknown field", "integrations: [{name: a, sitee: hq}, {name: b}]", []string{"a"}, []string{"b"}},
		{"a list for a text", "integrations:\n- name: a\n  site: [hq]\n- name: b\n", []string{"a"}, []string{"b"}},
		{"a condition with a problem", "integrations: [{name: b}, {name: a, deciders: [{name: x, condition: 'visitortype'}]}]", []string{"a"}, []string{"b"}},
		{"two with errors", "integrations: [{name: a, timeZone: Mars}, {name: c, decider: '>'}, {name: b}]", []string{"a", "c"}, []string{"b"}},
		{"one that is used twice is neither", "integrations: [{name: a}, {name: b}, {name: a, site: hq}]", []string{"a"}, []string{"b"}},
		{"a name that is none", "integrations: [{name: Head Office}, {name: b}]", []string{""}, []string{"b"}},
		{"no name", "integrations: [{}, {name: b}]", []string{""}, []string{"b"}},
		{"an entry that is a name", "integrations: [a, {name: b}]", []string{""}, []string{"b"}},
		{"a name twice in one entry", "integrations:\n- name: a\n  name: c\n- name: b\n", []string{""}, []string{"b"}},
		{"a merge with a problem", "integrations:\n- &x {name: a, timeZone: Mars}\n- {<<: *x, name: c, timeZone: UTC}\n- {name: b}\n", []string{"a"}, []string{"b", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Load(environ(withFile(t, c.content, "a", "b", "c")...), nil)
			if err != nil {
				t.Fatalf("problems:\n%v", err)
			}
			var names []string
			for _, i := range s.Integrations {
				names = append(names, i.Name)
			}
			slices.Sort(names)
			for _, site := range slices.Concat(c.broken, c.others) {
				if site != "" && !slices.Contains(s.Sites(), site) && !slices.Contains(s.Sites(), "hq") {
					t.Errorf("the site %s is not among %q", site, s.Sites())
				}
			}
			if !slices.Equal(sortedKeys(s.Invalid), c.broken) || !slices.Equal(names, c.others) || len(s.Entries) != len(names) {
				t.Errorf("broken %q, in force %q", sortedKeys(s.Invalid), names)
			}
			for name, problems := range s.Invalid {
				if len(problems) == 0 || !slices.Contains(s.NonFatal, problems[0]) {
					t.Errorf("%q: %v is not among %v", name, problems, s.NonFatal)
				}
			}
		})
	}
	for name, content := range map[string]string{
		"a problem of the defaults":       "defaults: {timeZone: Mars}\nintegrations: [{name: a, timeZone: UTC}]",
		"an unknown field of the file":    "integration: []\nintegrations: [{name: a}]",
		"an unknown field of defaults":    "defaults: {zone: UTC}\nintegrations: [{name: a}]",
		"no list":                         "integrations: {name: a}",
		"not YAML":                        "integrations: [{name: a}, {name: b]",
		"an anchor that is not there":     "integrations: [{name: a}, *x]",
		"no integration":                  "integrations: []",
		"the integration of the variable": "integrations: [{name: default}]",
	} {
		settings := withFile(t, content, "a")
		if name == "the integration of the variable" {
			settings[0] = "KEYS=" + key
		}
		if _, err := Load(environ(settings...), nil); err == nil {
			t.Errorf("%s: is in force", name)
		}
	}
}
