package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

// Whatever stands in the file, it is refused with faults that say where, or
// gives integrations with valid names and at least one key.
func FuzzIntegrationsFile(f *testing.F) {
	f.Add("integrations: [{name: a}]")
	f.Add("defaults: {timeZone: Australia/Adelaide, fallbacks: {timeout: {answer: accept}}}\nintegrations:\n- {name: a, site: hq, events: [checked_in]}\n")
	f.Add(`{"integrations":[{"name":"a","answers":{"reject":{"code":"REJECTED","message":"{visitorText}","n":[1,null,{"x":true}]}}}]}`)
	f.Add("integrations: [{name: Head Office, decisionBudget: 3, eventNames: {x: y}}]")
	f.Add("integrations: &a [*a]")
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte(key), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content string) {
		file, faults := parseFile([]byte(content))
		if faults != nil {
			return
		}
		s := Settings{Environment: Environment{KeysDir: dir, TimeZone: "UTC", DecisionBudget: 1, WriteTimeout: 2}}
		keys := newKeyring()
		keys.addFile("a", key)
		for i, e := range file.Integrations {
			var found Faults
			s.addIntegration(place{&found, "x"}, e, file.Defaults, keys)
			for _, fault := range found {
				if !strings.HasPrefix(fault.Where, "x.") || fault.What == "" {
					t.Errorf("fault without a place: %v", fault)
				}
			}
			if in := s.Integrations[i]; found == nil && (!visit.ValidName(in.Name) || !visit.ValidName(in.Site) || len(in.Keys) == 0) {
				t.Errorf("accepted: %+v", in)
			}
		}
	})
}

// Whatever the environment holds, loading it ends with settings or with faults.
func FuzzEnvironment(f *testing.F) {
	f.Add("LISTEN", ":8080", "BODY_LIMIT", "1MiB")
	f.Add("NATS_URL", "nats://a:b@c:4222,tls://d", "KEYS", "a,b,,c")
	f.Add("STORE_BUDGET", "-5s", "EVENT_STREAM_MAX_AGE", "99999999999d")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		for _, name := range []string{name1, name2} {
			if strings.HasSuffix(name, "_FILE") || strings.HasSuffix(name, "_DIR") {
				return // would read files of this machine
			}
		}
		s, err := Load([]string{Prefix + name1 + "=" + value1, Prefix + name2 + "=" + value2}, map[string]string{
			"SINE_RELAY_NATS_URL": "nats://nats:4222", "SINE_RELAY_KEYS": key,
		})
		if err == nil && (len(s.Integrations) == 0 || len(s.NATSServers()) == 0 && s.NATSStoreDir == "") {
			t.Errorf("accepted without an integration or a NATS: %+v", s.Environment)
		}
	})
}
