package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/desk/access"
)

// oidc are settings with which people sign in at a provider.
func oidc(t *testing.T, more ...string) []string {
	dir := files(t, map[string]string{"roles.yaml": "roles:\n- {group: front desk, role: reception, sites: [hq]}\n- {group: ops, role: operator, sites: ['*']}\n"})
	return append([]string{
		"DESK_LISTEN=:8081", "DESK_URL=https://desk.example.com", "DESK_OIDC_ISSUER=https://id.example.com", "DESK_OIDC_CLIENT_ID=desk",
		"DESK_OIDC_CLIENT_SECRET=secret-of-the-client", "DESK_ROLES_FILE=" + dir + "/roles.yaml",
	}, more...)
}

// proxied are settings with which a proxy signs people in.
func proxied(t *testing.T, more ...string) []string {
	dir := files(t, map[string]string{"roles.yaml": "roles: [{group: ops, role: operator, sites: ['*']}]"})
	return append([]string{
		"DESK_LISTEN=:8081", "DESK_PROXY_USER_HEADER=X-User", "DESK_PROXY_GROUPS_HEADER=X-Groups", "DESK_TRUSTED_PROXIES=192.0.2.1",
		"DESK_ROLES_FILE=" + dir + "/roles.yaml",
	}, more...)
}

func TestDesk_SettingsAreRead(t *testing.T) {
	_, d, err := LoadForDesk(environ("KEYS="), nil)
	if err != nil || !d.Loopback {
		t.Errorf("nothing set: %+v, %v", d, err)
	}
	_, d, err = LoadForDesk(environ(oidc(t)...), nil)
	want := []access.Mapping{{Group: "front desk", Role: access.Reception, Sites: []string{"hq"}}, {Group: "ops", Role: access.Operator, Sites: []string{"*"}}}
	if err != nil || d.Loopback || !reflect.DeepEqual(d.Roles, want) {
		t.Errorf("OpenID Connect: %+v, %v", d, err)
	}
	_, d, err = LoadForDesk(environ(proxied(t)...), nil)
	if err != nil || d.Loopback || len(d.Proxies) != 1 {
		t.Errorf("a proxy: %+v, %v", d, err)
	}
}

func TestDesk_InvalidSettingsAreReported(t *testing.T) {
	dir := files(t, map[string]string{
		"none": "roles: []", "typo": "roles: [{group: a, roll: viewer, sites: [hq]}]", "role": "roles: [{group: a, role: admin, sites: [hq]}]",
		"nowhere": "roles: [{group: a, role: viewer}]", "site": "roles: [{group: a, role: viewer, sites: ['head office']}]", "nobody": "roles: [{role: viewer, sites: [hq]}]",
		"text": "no PEM",
	})
	for _, c := range []struct {
		name     string
		settings []string
		want     string
	}{
		{"everybody could reach it", []string{"DESK_LISTEN=:8081"}, "SINE_RELAY_DESK_LISTEN: :8081 can be reached from other machines, and nobody would have to sign in: set SINE_RELAY_DESK_OIDC_ISSUER"},
		{"another machine's address", []string{"DESK_LISTEN=192.0.2.7:8081"}, "or listen on 127.0.0.1"},
		{"an address without a port", []string{"DESK_LISTEN=localhost"}, "SINE_RELAY_DESK_LISTEN: must be host:port"},
		{"one address for both listeners", []string{"DESK_LISTEN=127.0.0.1:1", "DESK_ADMIN_LISTEN=127.0.0.1:1"}, "SINE_RELAY_DESK_ADMIN_LISTEN: must differ"},
		{"half a certificate", []string{"DESK_TLS_CERT_FILE=" + dir + "/text"}, "SINE_RELAY_DESK_TLS_KEY_FILE: must be set together"},
		{"a URL with a path", []string{"DESK_URL=https://example.com/desk"}, "SINE_RELAY_DESK_URL: must be a URL without a path"},
		{"a provider without a client", []string{"DESK_OIDC_ISSUER=https://id.example.com"}, "SINE_RELAY_DESK_OIDC_CLIENT_ID, SINE_RELAY_DESK_OIDC_CLIENT_SECRET, SINE_RELAY_DESK_URL: is required for OpenID Connect"},
		{"a provider without the desk's URL", oidc(t, "DESK_URL="), "SINE_RELAY_DESK_URL: is required for OpenID Connect"},
		{"a client without a provider", []string{"DESK_OIDC_CLIENT_ID=desk"}, "SINE_RELAY_DESK_OIDC_ISSUER, SINE_RELAY_DESK_OIDC_CLIENT_SECRET, SINE_RELAY_DESK_URL: is required for OpenID Connect"},
		{"a provider in clear", oidc(t, "DESK_OIDC_ISSUER=http://id.example.com"), "SINE_RELAY_DESK_OIDC_ISSUER: must be an https:// URL"},
		{"two ways to sign in", oidc(t, "DESK_PROXY_USER_HEADER=X-User", "DESK_PROXY_GROUPS_HEADER=X-Groups", "DESK_TRUSTED_PROXIES=192.0.2.1"), "SINE_RELAY_DESK_PROXY_USER_HEADER: must not be set together"},
		{"a header of anybody", proxied(t, "DESK_TRUSTED_PROXIES="), "SINE_RELAY_DESK_TRUSTED_PROXIES: must be set together"},
		{"a proxy that is everybody", proxied(t, "DESK_TRUSTED_PROXIES=0.0.0.0/0"), "SINE_RELAY_DESK_TRUSTED_PROXIES: must not contain 0.0.0.0/0"},
		{"a proxy without an address", proxied(t, "DESK_TRUSTED_PROXIES=proxy"), "SINE_RELAY_DESK_TRUSTED_PROXIES"},
		{"no groups", proxied(t, "DESK_PROXY_GROUPS_HEADER="), "SINE_RELAY_DESK_PROXY_GROUPS_HEADER: must be set together"},
		{"a header that is none", proxied(t, "DESK_PROXY_USER_HEADER=X User"), "SINE_RELAY_DESK_PROXY_USER_HEADER: must be the name of a header"},
		{"no roles", proxied(t, "DESK_ROLES_FILE="), "SINE_RELAY_DESK_ROLES_FILE: is required"},
		{"a missing file of roles", proxied(t, "DESK_ROLES_FILE=/nowhere"), "SINE_RELAY_DESK_ROLES_FILE: cannot read the file"},
		{"a file without roles", proxied(t, "DESK_ROLES_FILE="+dir+"/none"), "none: roles: names no group"},
		{"a misspelled field", proxied(t, "DESK_ROLES_FILE="+dir+"/typo"), `typo:1: roles[0]: unknown field "roll"; did you mean role?`},
		{"a role that does not exist", proxied(t, "DESK_ROLES_FILE="+dir+"/role"), `role:1: roles[0]: role: must be viewer, reception or operator, got "admin"`},
		{"a role nowhere", proxied(t, "DESK_ROLES_FILE="+dir+"/nowhere"), `roles[0]: sites: is required`},
		{"a role of nobody", proxied(t, "DESK_ROLES_FILE="+dir+"/nobody"), `roles[0]: group: is required`},
		{"a site that is none", proxied(t, "DESK_ROLES_FILE="+dir+"/site"), `sites[0]: must be the name of a site`},
		{"a short session key", []string{"DESK_SESSION_KEYS=" + strings.Repeat("x", 40) + ",short"}, "SINE_RELAY_DESK_SESSION_KEYS: key 2 has 5 characters, at least 32"},
		{"a session of no time", []string{"DESK_SESSION_LIFETIME=10s"}, "SINE_RELAY_DESK_SESSION_LIFETIME: must be at least 1m0s, got 10s"},
		{"a stream of the relay", []string{"DESK_STREAM=VISITORS"}, "SINE_RELAY_DESK_STREAM: must differ from the relay's streams"},
		{"a stream with a dot", []string{"DESK_STREAM=a.b"}, "SINE_RELAY_DESK_STREAM: must be letters"},
		{"a stream that forgets", []string{"DESK_STREAM_MAX_AGE=1h"}, "SINE_RELAY_DESK_STREAM_MAX_AGE: must not be shorter"},
		{"a stream of no size", []string{"DESK_STREAM_MAX_BYTES=0"}, "SINE_RELAY_DESK_STREAM_MAX_BYTES: must be positive"},
		{"tries without keys", []string{"DESK_TRY_URL=http://127.0.0.1:9090"}, "SINE_RELAY_DESK_TRY_KEYS_DIR: must be set together"},
		{"tries at a path", []string{"DESK_TRY_URL=http://127.0.0.1/sine", "DESK_TRY_KEYS_DIR=/keys"}, "SINE_RELAY_DESK_TRY_URL: must be a URL without a path"},
		{"no NATS", []string{"NATS_URL="}, "SINE_RELAY_NATS_URL: is required: set it to the address of the relay's NATS"},
	} {
		_, _, err := LoadForDesk(environ(c.settings...), nil)
		if problems := (Problems)(nil); !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret-of-the-client") {
			t.Errorf("%s: the secret is in %v", c.name, err)
		}
	}
}

// A relay answers visitors, whatever is wrong with the settings of the desk beside it.
func TestDesk_ProblemsDoNotKeepARelayFromStarting(t *testing.T) {
	s := load(t, "DESK_LISTEN=:8081", "DESK_TRY_URL=nonsense")
	if _, problems := s.CheckDesk(); !s.HasDesk() || len(problems) == 0 {
		t.Errorf("%v", problems)
	}
	if load(t).HasDesk() {
		t.Error("a desk is configured where nothing of it is set")
	}
}

func TestDesk_SecretsAreReadAgain(t *testing.T) {
	keys := strings.Repeat("a", 32)
	file := filepath.Join(files(t, map[string]string{"keys": keys}), "keys")
	s, _, err := LoadForDesk(environ("DESK_SESSION_KEYS_FILE="+file), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := s.DeskSessionKeysNow()
	if got := now(); len(got) != 1 || string(got[0]) != keys {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("b", 32)+", "+keys), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := now(); len(got) != 2 || string(got[1]) != keys {
		t.Errorf("%q", got)
	}
	if s, _, err = LoadForDesk(environ(), nil); err != nil || s.DeskSessionKeysNow() != nil || s.DeskClientSecretNow() != nil {
		t.Errorf("there are keys where none are set: %v", err)
	}
}

func TestFirstKey_IsTheFirstOfTheFile(t *testing.T) {
	if key, err := FirstKey("# name: spring\n\n first-key-0123 \nsecond-key-0123\n"); key != "first-key-0123" || err != nil {
		t.Errorf("%q, %v", key, err)
	}
	if _, err := FirstKey("# nothing\n"); err == nil {
		t.Error("a file without a key has one")
	}
}

func TestFlags_OfTheDeskAreApart(t *testing.T) {
	for _, f := range Flags() {
		switch f.Name {
		case "desk-listen", "desk-session-keys-file":
			if !f.Desk || f.Shared {
				t.Errorf("%+v", f)
			}
		case "nats-url-file", "subject-prefix", "log-level":
			if f.Desk || !f.Shared {
				t.Errorf("%+v", f)
			}
		case "listen", "nats-listen", "nats-store-dir", "keys":
			if f.Desk || f.Shared {
				t.Errorf("%+v", f)
			}
		}
	}
}
