package sample

import (
	"testing"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

func TestTrouble_NamesWhatAnIntegrationDoesNotFind(t *testing.T) {
	for name, c := range map[string]struct {
		environ     []string
		integration string
		want        string
	}{
		"nothing configured":         {nil, "default", ""},
		"another integration":        {nil, "attic", ""},
		"a body that is not so flat": {[]string{"SINE_RELAY_JSON_DEPTH=1"}, "default", "integration default cannot read it (too_deep)"},
	} {
		settings, err := config.LoadIntegrations(append(c.environ, "SINE_RELAY_KEYS=0123456789abcdef", "SINE_RELAY_NATS_URL=nats://127.0.0.1:1"))
		if err != nil {
			t.Fatal(err)
		}
		if got := Trouble(settings, c.integration); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := Trouble(config.Settings{}, "default"); got != "" {
		t.Errorf("without integrations: %q", got)
	}
}
