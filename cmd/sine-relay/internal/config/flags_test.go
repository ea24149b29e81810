package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

func TestSettingsAsFlags(t *testing.T) {
	environ := []string{"SINE_RELAY_LOG_LEVEL=info", "HOME=/", "SINE_RELAY_LOG_LEVEL=warn"}
	got, err := config.WithFlags(environ, []string{"--log-level=debug", "--site=hq=1", "--nats-url-file=f"})
	want := []string{"HOME=/", "SINE_RELAY_LOG_LEVEL=debug", "SINE_RELAY_SITE=hq=1", "SINE_RELAY_NATS_URL_FILE=f"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	if environ[0] != "SINE_RELAY_LOG_LEVEL=info" {
		t.Error("the environment itself was changed")
	}
	for arg, fault := range map[string]string{
		"debug":          `"debug" is not a setting`,
		"--log-level":    `"--log-level" is not a setting`,
		"-site=hq":       `"-site=hq" is not a setting`,
		"--keys=Zsecret": "set SINE_RELAY_KEYS or SINE_RELAY_KEYS_FILE",
	} {
		_, err := config.WithFlags(environ, []string{arg})
		if err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "Zsecret") {
			t.Errorf("%s: %v", arg, err)
		}
	}
}
