package config

import (
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	dir := files(t, map[string]string{
		"i.yaml": "defaults: {rejectionConfirmed: true}\nintegrations:\n" +
			"- {name: a, site: hq, events: [checked_in]}\n- {name: b, site: hq}\n" +
			"- {name: c, site: gate, events: [check_in_request], rejectionConfirmed: false}\n- {name: d, site: gate, rejectionConfirmed: false}\n" +
			"- {name: e, site: dock, events: [checked_in, checked_out], rejectionConfirmed: false}\n- {name: f, site: dock, events: [checked_out]}\n" +
			"- {name: g, rejectBy: status, rejectionConfirmed: false}\n",
		"keys/a": key, "keys/b": key, "keys/c": "c-key-0123", "keys/d": "# name: old\nd-key-0123456789\n",
		"keys/e": "e-key-0123456789", "keys/f": "f-key-0123456789", "keys/g": "# name: new\ng-key-0123456789\n# name: new\nanother-g-key-0123456789\ng-key-0123456789\n",
	})
	s := load(t, "KEYS=", "SITE=hq", "NATS_LISTEN=:4222", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	all := strings.Join(s.Warnings, "\n")
	expect(t, all,
		"site hq: the integrations a, b may each send checked_in,",
		"site dock: the integrations e, f each send checked_out,",
		"integrations a and b share a key",
		"integration g: two keys are named new,",
		"integration g: the key g#3 is there a second time",
		"the key c#1 has fewer than 16",
		"rejection said by code at c, d:",
		"SINE_RELAY_NATS_LISTEN has no effect: an existing NATS is used",
		"SINE_RELAY_SITE has no effect",
	)
	expectNot(t, all, "site gate", key, "c-key-0123")
	if len(s.Warnings) != 9 {
		t.Errorf("%d warnings:\n%s", len(s.Warnings), all)
	}
}

func TestTheEnvironmentsIntegrationIsUnconfirmed(t *testing.T) {
	s := load(t)
	if len(s.Warnings) != 1 {
		t.Errorf("%q", s.Warnings)
	}
	expect(t, s.Warnings[0], "rejection said by code at default:")
}

func TestSettingsForAnotherNATSAreWarnedOf(t *testing.T) {
	s := load(t, "NATS_URL=", "NATS_STORE_DIR=/x", "NATS_TOKEN=Zsecret")
	all := strings.Join(s.Warnings, "\n")
	expect(t, all, "SINE_RELAY_NATS_TOKEN has no effect: the embedded NATS is used")
	expectNot(t, all, "Zsecret")
}

func TestTheURLsToEnterIntoSine(t *testing.T) {
	s := load(t, withFile(t, "integrations:\n- {name: a, displayName: Lobby, site: hq}\n- {name: b, events: [check_in_request]}\n- {name: c, events: [checked_in, checked_out]}\n", "a", "b", "c")...)
	rows := s.URLTable("https://d/")
	for i, want := range []string{"https://d/sine/a", "https://d/sine/b/check-in-request", "https://d/sine/c"} {
		if rows[i].URL != want {
			t.Errorf("%s, want %s", rows[i].URL, want)
		}
	}
	if a := rows[0]; a.Integration != "a" || a.DisplayName != "Lobby" || a.Site != "hq" || len(a.KeyNames) != 1 || a.KeyNames[0] != "a#1" || rows[1].Site != "b" {
		t.Errorf("%+v", rows)
	}
}
