package config

import (
	"testing"
)

func TestServiceLinksAreNotOurs(t *testing.T) {
	load(t, "SERVICE_HOST=10.0.0.1", "SERVICE_PORT=8080", "SERVICE_PORT_HTTP=8080", "PORT=tcp://10.0.0.1:8080",
		"PORT_8080_TCP=tcp://10.0.0.1:8080", "PORT_8080_TCP_ADDR=10.0.0.1", "PORT_8080_TCP_PORT=8080", "PORT_8080_TCP_PROTO=tcp",
		"ADMIN_SERVICE_HOST=10.0.0.2", "ADMIN_PORT=tcp://10.0.0.2:9090", "HEADLESS_PORT_9090_TCP_ADDR=10.0.0.2", "NATS_SERVICE_PORT_CLIENT=4222")
}

func TestNoSettingLooksLikeAServiceLink(t *testing.T) {
	for _, name := range names() {
		if isServiceLink(Prefix+name, "tcp://10.0.0.1:8080") {
			t.Errorf("%s would be ignored", name)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	for name, want := range map[string]string{
		"LISSEN":          "did you mean SINE_RELAY_LISTEN?",
		"listen":          "did you mean SINE_RELAY_LISTEN?",
		"KYES":            "did you mean SINE_RELAY_KEYS?",
		"NATS_URLS":       "did you mean SINE_RELAY_NATS_URL?",
		"KEYS_FIEL":       "did you mean SINE_RELAY_KEYS_FILE?",
		"PORT":            "is not a setting",
		"LISTEN_PORT":     "is not a setting",
		"LISTEN_FILE":     "is not a setting",
		"Q":               "is not a setting",
		"FLUX_CAPACITORS": "is not a setting",
	} {
		text := faulty(t, name+"=8080")
		expect(t, text, Prefix+name+": is not a setting", want)
		if want == "is not a setting" && name != "LISTEN_FILE" && name != "LISTEN_PORT" && name != "PORT" {
			expectNot(t, text, "did you mean")
		}
	}
}

func TestEditDistances(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"site", "sitee", 1}, {"ab", "ba", 2}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("%s to %s: %d", c.a, c.b, got)
		}
	}
}
