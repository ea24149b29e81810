package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// contexts is an environment with contexts of the nats command, by name.
func contexts(t *testing.T, all map[string]string) []string {
	t.Helper()
	contents := map[string]string{}
	for name, content := range all {
		contents["nats/context/"+name+".json"] = content
	}
	dir := files(t, contents)
	return []string{"XDG_CONFIG_HOME=" + dir, "HOME=" + dir, "SECRETS=" + dir}
}

// inContext loads an operator's settings in a context of that content.
func inContext(t *testing.T, content string, environ ...string) (Settings, error) {
	t.Helper()
	return InContext(append(contexts(t, map[string]string{"hq": content}), environ...), "hq", LoadForOperator)
}

// As nats context add writes it, with every field.
const plainContext = `{"description": "of hq", "url": "nats://nats-1:4222,nats-2", "socks_proxy": "", "token": "", "user": "operator",
	"password": "Zsecret", "creds": "", "nkey": "", "cert": "", "key": "", "ca": "", "nsc": "", "jetstream_domain": "",
	"jetstream_api_prefix": "", "jetstream_event_prefix": "", "inbox_prefix": "_INBOX_OPS", "user_jwt": "", "color_scheme": "green",
	"tls_first": false, "windows_ca_certs_match": null}`

func TestInContext_TakesServersUserAndInboxOfIt(t *testing.T) {
	s, err := inContext(t, plainContext)
	if err != nil {
		t.Fatal(err)
	}
	servers := strings.Join(s.NATSServers(), " ")
	if servers != "nats://nats-1:4222 nats://nats-2" || s.NATSUser != "operator" || s.NATSPasswordNow()() != "Zsecret" || s.NATSInboxPrefix != "_INBOX_OPS" {
		t.Errorf("%s %s %s", servers, s.NATSUser, s.NATSInboxPrefix)
	}
}

// A password of the environment would else go to the servers of the context.
func TestInContext_LeavesOutAnyOtherConnection(t *testing.T) {
	s, err := inContext(t, `{"url": "tls://hq:4222", "token": "Ztoken"}`,
		"SINE_RELAY_NATS_URL=nats://elsewhere", "SINE_RELAY_NATS_USER=relay", "SINE_RELAY_NATS_PASSWORD_FILE=/absent",
		"SINE_RELAY_NATS_STORE_DIR=/var/lib/nats", "SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST=true", "SINE_RELAY_EVENT_STREAM=GUESTS")
	if err != nil {
		t.Fatal(err)
	}
	if s.NATSURL.Reveal() != "tls://hq:4222" || s.NATSUser != "" || s.NATSPasswordNow() != nil || s.NATSHandshakeFirst || s.NATSStoreDir != "" {
		t.Errorf("mixed: %+v", s.Environment)
	}
	if s.NATSTokenNow()() != "Ztoken" || s.EventStream != "GUESTS" {
		t.Errorf("left out: %+v", s.Environment)
	}
}

func TestInContext_ReadsFieldsAsTheNATSCommandDoes(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		is      func(Settings) bool
	}{
		"no url":           {`{}`, func(s Settings) bool { return s.NATSURL.Reveal() == "nats://127.0.0.1:4222" }},
		"handshake first":  {`{"url": "nats://a,tls://b,c", "tls_first": true}`, func(s Settings) bool { return s.NATSURL.Reveal() == "tls://a,tls://b,tls://c" && s.NATSHandshakeFirst }},
		"password in file": {`{"user": "u", "password": "file://~/secret"}`, func(s Settings) bool { return s.NATSPasswordNow()() == "Zfile" }},
		"token of variable": {`{"token": "env://NATS_SECRET"}`, func(s Settings) bool {
			return s.NATSTokenNow()() == "Zvariable"
		}},
		"password with a colon": {`{"user": "u", "password": "a:b"}`, func(s Settings) bool { return s.NATSPasswordNow()() == "a:b" }},
		"file at home":          {`{"creds": "~/secret"}`, func(s Settings) bool { return filepath.IsAbs(s.NATSCredentialsFile) }},
		"file by variable":      {`{"nkey": "file://$SECRETS/secret"}`, func(s Settings) bool { return filepath.IsAbs(s.NATSNKeyFile) }},
	} {
		environ := append(contexts(t, map[string]string{"hq": c.content}), "NATS_SECRET=Zvariable")
		if err := os.WriteFile(filepath.Join(valueOf(environ, "HOME"), "secret"), []byte("Zfile\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := InContext(environ, "hq", LoadForOperator)
		if err != nil || !c.is(s) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInContext_SaysWhichFieldCannotBeUsedAndHoldsNoSecret(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"nsc":              {`{"nsc": "nsc://o/a/Zsecret"}`, `nsc of NATS context "hq": is not supported; name the user's credentials file in "creds"`},
		"proxy":            {`{"socks_proxy": "socks5://u:Zsecret@proxy"}`, `socks_proxy of NATS context "hq": is not supported`},
		"domain":           {`{"jetstream_domain": "Zsecret"}`, `jetstream_domain of NATS context "hq": is not supported`},
		"seed":             {`{"user_jwt": "Zsecret", "user_seed": "Zsecret"}`, `user_seed of NATS context "hq": is not supported`},
		"a field to come":  {`{"oauth": {"secret": "Zsecret"}}`, `oauth of NATS context "hq": is not supported`},
		"one password":     {`{"user": "u", "password": "op://Zsecret/item"}`, `password of NATS context "hq": refers to op:, which is not supported`},
		"unset variable":   {`{"token": "env://GONE"}`, `token of NATS context "hq": refers to the variable GONE, which is not set`},
		"inline file":      {`{"creds": "data:;base64,Zsecret"}`, `creds of NATS context "hq": refers to data:, which is not supported`},
		"two ways":         {`{"user": "u", "password": "Zsecret", "token": "Zsecret"}`, `token of NATS context "hq", user of NATS context "hq": only one of these 2 ways to authenticate to NATS`},
		"user alone":       {`{"user": "Zsecret"}`, `user of NATS context "hq"`},
		"absent file":      {`{"ca": "/absent/Zsecret"}`, `ca of NATS context "hq": cannot read the file: no such file`},
		"not a server":     {`{"url": "nats://u:Zsecret@:port"}`, `url of NATS context "hq": server 1 is not a valid URL`},
		"not JSON":         {`url: Zsecret`, `NATS context "hq": the file is not a JSON object`},
		"not of an object": {`["Zsecret"]`, `NATS context "hq": the file is not a JSON object`},
	} {
		_, err := inContext(t, c.content)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Zsecret") || strings.Contains(err.Error(), Prefix) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInContext_ListsTheContextsThatThereAre(t *testing.T) {
	environ := contexts(t, map[string]string{"hq": "{}", "lab": "{}"})
	for name, want := range map[string]string{
		"hqq":     "did you mean hq?; contexts: hq, lab",
		"../hq":   "must be the name of a context",
		"a\\b":    "must be the name of a context",
		"nowhere": "no such context in",
	} {
		if _, err := InContext(environ, name, LoadForOperator); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	none := []string{"HOME=" + t.TempDir()}
	if _, err := InContext(none, "hq", LoadForOperator); err == nil || !strings.Contains(err.Error(), "create one with nats context add") {
		t.Error(err)
	}
}

func TestDefaultContext_IsThatOfTheVariableUnlessOurSettingsSayWhereNATSIs(t *testing.T) {
	for want, environ := range map[string][]string{
		"hq": {"NATS_CONTEXT=hq", "SINE_RELAY_NATS_STORE_DIR=/store"},
		"":   {"NATS_CONTEXT=hq", "SINE_RELAY_NATS_URL=nats://nats"},
	} {
		if got := DefaultContext(environ); got != want {
			t.Errorf("%v: %q", environ, got)
		}
	}
}
