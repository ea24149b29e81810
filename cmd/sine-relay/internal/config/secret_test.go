package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
)

func TestSecret_IsReadFromAFile(t *testing.T) {
	dir := files(t, map[string]string{
		"token": " Zsecret-token\n",
		"keys":  "# for the lobby, north\n# name: spring\nfirst-key-0123456789\nsecond-key-0123456789, third-key-0123456789\n",
	})
	s := load(t, "NATS_TOKEN_FILE="+dir+"/token", "KEYS=", "KEYS_FILE="+dir+"/keys")
	if s.NATSToken.Reveal() != "Zsecret-token" {
		t.Errorf("token %q", s.NATSToken.Reveal())
	}
	if names := strings.Join(s.Entries[0].KeyNames, " "); names != "spring default#2 default#3" {
		t.Errorf("keys %s", names)
	}
}

func TestSecret_PrintsAsAMask(t *testing.T) {
	s := load(t, "NATS_TOKEN=Zsecret", "KEYS=Zsecret-0123456789")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v"} {
		for _, value := range []any{s.NATSToken, &s.NATSToken, s.Environment, s, []Secret{s.Keys}, map[string]Secret{"k": s.Keys}} {
			printed := fmt.Sprintf(verb, value)
			expectNot(t, printed, "Zsecret", "5a736563", "5A736563")
		}
		if printed := fmt.Sprintf(verb, s.NATSToken); printed != mask {
			t.Errorf("%s: %s", verb, printed)
		}
	}
	encoded, err := json.Marshal(s.Environment)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("x", "token", s.NATSToken, "all", s.Environment)
	}
	expectNot(t, string(encoded)+log.String(), "Zsecret")
	expect(t, string(encoded), mask)
	expect(t, log.String(), mask)
}

// The keyWarnings that put a secret near a problem: a file's variable that holds the
// secret itself, a URL that does not parse, and a problem beside it.
func TestSecret_IsNeverQuotedInAProblem(t *testing.T) {
	dir := files(t, map[string]string{"binary": "Zsecret\x00\xff\n", "i.yaml": "integrations:\n- {name: a, keys: [Zsecret], key: Zsecret, kinds: Zsecret, rejectionConfirmed: Zsecret, responses: {accept: Zsecret}, fallbacks: {timeout: \"Zsecret\\nZsecret\"}}\n"})
	if err := os.Mkdir(dir+"/keys", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/keys/a", []byte("Zsecret\x07"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string][]string{
		"secrets for files": {
			"NATS_TOKEN_FILE=Zsecret", "NATS_PASSWORD_FILE=Zsecret", "NATS_URL=", "NATS_URL_FILE=nats://u:Zsecret@a", "KEYS=", "KEYS_FILE=Zsecret",
			"NATS_CREDENTIALS_FILE=Zsecret", "NATS_NKEY_FILE=SUZsecret", "KEYS_DIR=Zsecret", "INTEGRATIONS_FILE=Zsecret", "TLS_KEY_FILE=Zsecret", "TLS_CERT_FILE=Zsecret",
		},
		"two of each":            {"NATS_TOKEN=Zsecret", "NATS_TOKEN_FILE=" + dir + "/binary", "NATS_PASSWORD=Zsecret", "KEYS=Zsecret\x00,Zsecret"},
		"URLs that do not work":  {"NATS_URL=nats://u:Zsecret@ho st:1,Zsecret://x,Zsecret,nats://Zsecret:Zsecret,u:Zsecret@h:1,nats://u:Zsecret@h:99999,nats://u:Z%zzsecret@h"},
		"keys in the wrong file": {"INTEGRATIONS_FILE=" + dir + "/i.yaml", "KEYS_DIR=" + dir + "/keys"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ToLower(invalid(t, settings...))
			expectNot(t, text, "zsecret", "zzsecret")
		})
	}
}
