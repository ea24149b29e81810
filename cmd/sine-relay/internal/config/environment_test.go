package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSettings_DocsNameEverySetting(t *testing.T) {
	docs := Docs()
	for f := range reflect.TypeFor[Environment]().Fields() {
		name, initial, hasDefault := strings.Cut(f.Tag.Get("env"), ", default=")
		s, ok := settingNamed(name)
		if !ok || s.help == "" || s.initial != initial || !strings.Contains(docs, "| `"+Prefix+name+"`") {
			t.Errorf("%s has no line", name)
		}
		if hasDefault && !strings.Contains(docs, "| `"+initial+"` |") {
			t.Errorf("the default of %s is missing", name)
		}
	}
	if lines := strings.Count(docs, "\n"); lines != len(settings)+2 {
		t.Errorf("%d lines for %d settings", lines, len(settings))
	}
}

func TestSettings_SizesAndDurationsHaveAUnit(t *testing.T) {
	for _, s := range settings {
		_, isDuration := parseDuration(s.initial)
		_, isSize := parseSize(s.initial)
		if isDuration && s.unit != "duration" || isSize && strings.HasSuffix(s.initial, "iB") && s.unit != "bytes" {
			t.Errorf("%s: %s has the unit %q", s.name, s.initial, s.unit)
		}
	}
}

func TestFlags_SaySomethingAboutEverySetting(t *testing.T) {
	flags := map[string]Flag{}
	for _, f := range Flags() {
		if f.Help == "" || f.Type == "" {
			t.Errorf("%+v", f)
		}
		f.Help, f.Desk, f.Shared = "", false, false
		flags[f.Name] = f
	}
	for _, want := range []Flag{
		{Name: "log-level", Variable: "SINE_RELAY_LOG_LEVEL", Type: "string", Default: "info"},
		{Name: "keys", Variable: "SINE_RELAY_KEYS", Type: "string", Secret: true},
		{Name: "keys-file", Variable: "SINE_RELAY_KEYS_FILE", Type: "string"},
		{Name: "event-stream-max-age", Variable: "SINE_RELAY_EVENT_STREAM_MAX_AGE", Type: "duration", Default: "30d"},
		{Name: "body-limit", Variable: "SINE_RELAY_BODY_LIMIT", Type: "size", Default: "256KiB"},
		{Name: "nats-replicas", Variable: "SINE_RELAY_NATS_REPLICAS", Type: "int", Default: "1"},
	} {
		if flags[want.Name] != want {
			t.Errorf("%+v, want %+v", flags[want.Name], want)
		}
	}
}

func TestWith_ReplacesAVariable(t *testing.T) {
	environ := []string{"SINE_RELAY_LOG_LEVEL=info", "HOME=/", "SINE_RELAY_LOG_LEVEL=warn"}
	got := With(environ, "SINE_RELAY_LOG_LEVEL", "a=b")
	if want := []string{"HOME=/", "SINE_RELAY_LOG_LEVEL=a=b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if environ[0] != "SINE_RELAY_LOG_LEVEL=info" {
		t.Error("the environment itself was changed")
	}
}

func TestParseDuration_KnowsDays(t *testing.T) {
	if d, err := ParseDuration("30d"); d != 720*time.Hour || err != nil {
		t.Errorf("%s %v", d, err)
	}
	if _, err := ParseDuration("soon"); err == nil || err.Error() != `must be a duration such as 500ms, 2.5s or 30d, got "soon"` {
		t.Error(err)
	}
}

func TestSettings_KubernetesServiceLinksAreIgnored(t *testing.T) {
	load(t, "SERVICE_HOST=10.0.0.1", "SERVICE_PORT=8080", "SERVICE_PORT_HTTP=8080", "PORT=tcp://10.0.0.1:8080",
		"PORT_8080_TCP=tcp://10.0.0.1:8080", "PORT_8080_TCP_ADDR=10.0.0.1", "PORT_8080_TCP_PORT=8080", "PORT_8080_TCP_PROTO=tcp",
		"ADMIN_SERVICE_HOST=10.0.0.2", "ADMIN_PORT=tcp://10.0.0.2:9090", "HEADLESS_PORT_9090_TCP_ADDR=10.0.0.2", "NATS_SERVICE_PORT_CLIENT=4222")
}

func TestSettings_NoneLooksLikeAServiceLink(t *testing.T) {
	for _, name := range names() {
		if isServiceLink(Prefix+name, "tcp://10.0.0.1:8080") {
			t.Errorf("%s would be ignored", name)
		}
	}
}

func TestSettings_UnknownNamesGetASuggestion(t *testing.T) {
	for name, want := range map[string]string{
		"LISSEN":          "did you mean SINE_RELAY_LISTEN?",
		"listen":          "did you mean SINE_RELAY_LISTEN?",
		"KYES":            "did you mean SINE_RELAY_KEYS?",
		"NATS_URLS":       "did you mean SINE_RELAY_NATS_URL?",
		"KEYS_FIEL":       "did you mean SINE_RELAY_KEYS_FILE?",
		"PORT":            "unknown setting",
		"LISTEN_PORT":     "unknown setting",
		"LISTEN_FILE":     "unknown setting",
		"Q":               "unknown setting",
		"FLUX_CAPACITORS": "unknown setting",
	} {
		text := invalid(t, name+"=8080")
		expect(t, text, Prefix+name+": unknown setting", want)
		if want == "unknown setting" && name != "LISTEN_FILE" && name != "LISTEN_PORT" && name != "PORT" {
			expectNot(t, text, "did you mean")
		}
	}
}

func TestSettings_EditDistanceCountsEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"site", "sitee", 1}, {"ab", "ba", 2}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("%s to %s: %d", c.a, c.b, got)
		}
	}
}

func TestUnits_SizesAndDurationsAreParsed(t *testing.T) {
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

func TestUnits_InvalidValuesGetASuggestion(t *testing.T) {
	for value, want := range map[string]string{"1MB": "1MiB", "64kb": "64KiB", "2G": "2GiB", "10m": "10MiB", "1.5GB": "such as", "x": "such as", "5XB": "such as"} {
		if got := invalidSize(value); !strings.Contains(got, want) {
			t.Errorf("size %s: %s", value, got)
		}
	}
	for value, want := range map[string]string{"30": "30s", "2.5": "2.5s", "2x": "such as", "1 day": "such as"} {
		if got := invalidDuration(value); !strings.Contains(got, want) {
			t.Errorf("duration %s: %s", value, got)
		}
	}
}
