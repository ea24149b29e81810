package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
)

func TestWarnings_NameOverlappingIntegrationsAndSharedKeys(t *testing.T) {
	dir := files(t, map[string]string{
		"i.yaml": "defaults: {rejectionConfirmed: true}\nintegrations:\n" +
			"- {name: a, site: hq, kinds: [checked_in]}\n- {name: b, site: hq}\n" +
			"- {name: c, site: gate, kinds: [check_in_request], rejectionConfirmed: false}\n- {name: d, site: gate, rejectionConfirmed: false}\n" +
			"- {name: e, site: dock, kinds: [checked_in, checked_out], rejectionConfirmed: false}\n- {name: f, site: dock, kinds: [checked_out]}\n" +
			"- {name: g, rejectMode: status, rejectionConfirmed: false, kinds: [checked_out]}\n",
		"keys/a": key, "keys/b": key, "keys/c": "c-key-0123", "keys/d": "# name: old\nd-key-0123456789\n",
		"keys/e": "e-key-0123456789", "keys/f": "f-key-0123456789", "keys/g": "# name: new\ng-key-0123456789\n# name: new\nanother-g-key-0123456789\ng-key-0123456789\n",
	})
	s := load(t, "KEYS=", "SITE=hq", "NATS_LISTEN=:4222", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	all := strings.Join(s.Warnings.Lines(), "\n")
	expect(t, all,
		"i.yaml:3: integrations a, b of site hq: they may each send checked_in,",
		"i.yaml:7: integrations e, f of site dock: they each send checked_out,",
		"keys/b: integration b, key b#1: the integration a has the same key",
		"keys/g:4: integration g, key new: two keys have this name,",
		"keys/g: integration g, key g#3: is a duplicate",
		"keys/c:1: integration c, key c#1: has fewer than 16",
		"i.yaml:5 (c), i.yaml:6 (d): no test visit has confirmed",
		"SINE_RELAY_NATS_LISTEN: has no effect: an existing NATS is used",
		"SINE_RELAY_SITE: has no effect",
		"i.yaml:9: integration g: has no site",
		"i.yaml:9: integration g: rejectMode: has no effect",
	)
	expectNot(t, all, "site gate", key, "c-key-0123")
	if n := len(s.Warnings.Lines()); n != 11 {
		t.Errorf("%d warnings:\n%s", n, all)
	}
}

func TestWarnings_NamePlacesThatAreProbablySlips(t *testing.T) {
	s := load(t, withFile(t, "defaults: {rejectionConfirmed: true, fields: {company: [/data/org, /data/Org], visitorType: [/data/sort]}, causeAliases: {geo: left_area}}\nintegrations:\n"+
		"- {name: a, site: hq, fields: {person.firstName: [/data/host/name]}}\n- {name: b, site: gate, fields: {company: [/data/sort]}}\n- {name: c, site: dock}\n"+
		"- name: d\n  site: yard\n  kinds: [check_in_request]\n  fields: {cause: [/data/why]}\n  causeAliases: {gone: left_area}\n"+
		"- {name: e, site: pier, kinds: [check_in_request]}\n", "a", "b", "c", "d", "e")...)
	all := strings.Join(s.Warnings.Lines(), "\n")
	expect(t, all,
		"i.yaml:1: defaults: fields.company[1]: is the same place as fields.company[0]; remove one of them",
		"i.yaml:3: integration a: fields.person.firstName[0]: is a built-in place of host.name: one value would be both",
		"i.yaml:4: integration b: fields.company[0]: is the same place as fields.visitorType[0]: one value would be both",
		"i.yaml:9: integration d: fields.cause: has no effect: kinds does not contain checked_out",
		"i.yaml:10: integration d: causeAliases: has no effect: kinds does not contain checked_out",
	)
	expectNot(t, all, "integration c", "integration e")
}

func TestWarnings_DefaultIntegrationIsUnconfirmed(t *testing.T) {
	s := load(t)
	if len(s.Warnings) != 1 {
		t.Errorf("%q", s.Warnings)
	}
	expect(t, s.Warnings.Lines()[0], "SINE_RELAY_KEYS: integration default: no test visit has confirmed")
}

func TestWarnings_NameSettingsWithoutEffectOnEmbeddedNATS(t *testing.T) {
	s := load(t, "NATS_URL=", "NATS_STORE_DIR=/x", "NATS_TOKEN=Zsecret")
	all := strings.Join(s.Warnings.Lines(), "\n")
	expect(t, all, "SINE_RELAY_NATS_TOKEN: has no effect: the embedded NATS is used")
	expectNot(t, all, "Zsecret")
}

func TestWarnings_NameAnInboxPrefixThatOthersMayRead(t *testing.T) {
	expect(t, strings.Join(load(t, "NATS_INBOX_PREFIX=_INBOX.relay").Warnings.Lines(), "\n"), "SINE_RELAY_NATS_INBOX_PREFIX: _INBOX.relay: every user with permission to subscribe to _INBOX.>")
	expectNot(t, strings.Join(load(t).Warnings.Lines(), "\n"), "INBOX_PREFIX")
}

func TestConfig_URLTableListsTheWebhookURLs(t *testing.T) {
	s := load(t, withFile(t, "integrations:\n- {name: a, displayName: Lobby, site: hq}\n- {name: b, kinds: [check_in_request]}\n- {name: c, kinds: [checked_in, checked_out]}\n", "a", "b", "c")...)
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

func TestWarnings_NameAPIKeysThatLookMalformed(t *testing.T) {
	for _, c := range []struct{ name, key, want string }{
		{"in double quotes", `"key-0123456789abc"`, "is quoted"},
		{"in single quotes", `'key-0123456789abc'`, "is quoted"},
		{"in backticks", "`key-0123456789abc`", "is quoted"},
		{"with a blank inside", "key-01234 56789abcdef", "contains spaces"},
		{"with a tab inside", "key-01234\t56789abcdef", "contains spaces"},
		{"as in YAML", "key: 0123456789abcdef", "begins with key:,"},
		{"as a header", "X-Sine-Auth:0123456789abcdef", "begins with X-Sine-Auth:,"},
		{"as a variable", "API_KEY=0123456789abcdef", "begins with API_KEY=,"},
		{"as in JSON", `"key": "0123456789abcdef"`, `begins with "key":,`},
		{"eight characters", "8-chars-", "has fewer than 16 characters"},
		{"a plain key", "key-0123456789abc", ""},
		{"a key that begins like a label", "keys-0123456789abc", ""},
		{"a quote at one end", `"key-0123456789abc`, ""},
		{"sixteen characters of several bytes", "ključ-0123456789a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := files(t, map[string]string{"i.yaml": "integrations: [{name: a, rejectMode: status}]", "keys/a": "# name: spring\n" + c.key + "\n"})
			s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
			all := strings.Join(s.Warnings.Lines(), "\n")
			if c.want == "" && all != "" {
				t.Errorf("warned: %s", all)
			}
			if c.want != "" {
				expect(t, all, "integration a, key spring: "+c.want)
			}
			expectNot(t, all, "0123456789", "8-chars")
			if len(s.Integrations[0].Keys) != 1 {
				t.Errorf("%d keys", len(s.Integrations[0].Keys))
			}
		})
	}
}

func TestWarnings_NameKeyFilesWithoutAnIntegration(t *testing.T) {
	dir := files(t, map[string]string{
		"i.yaml":     "integrations: [{name: lobby, rejectMode: status}, {name: dock, rejectMode: status}]",
		"keys/lobby": key, "keys/dock": key + "2", "keys/doc": key, "keys/loby": "", "keys/lobby~": "x\x00",
	})
	s := load(t, "KEYS=", "INTEGRATIONS_FILE="+dir+"/i.yaml", "KEYS_DIR="+dir+"/keys")
	all := strings.Join(s.Warnings.Lines(), "\n")
	expect(t, all, "keys/doc: no integration has the name of this file; did you mean dock?", "keys/lobby~, keys/loby: no integration has the name of this file; did you mean lobby?")
	if len(s.Warnings) != 3 {
		t.Errorf("%d warnings:\n%s", len(s.Warnings), all)
	}
}

func TestWarnings_NameIntegrationsWhoseDecidersAreAllConditional(t *testing.T) {
	s := load(t, withFile(t, `
defaults: {rejectMode: status}
integrations:
- {name: a, deciders: [{name: x, condition: 'company == "A"'}, {name: y, condition: 'company == "B"'}]}
- {name: b, deciders: [{name: x, condition: 'company == "A"'}, {name: y}]}
- {name: c, deciders: [{name: x, condition: 'company == "A"'}, {name: y, shadow: true}]}
- {name: d, deciders: [{name: x, condition: 'company == "A"'}], fallbacks: {unasked: {decision: accept}}}
- {name: e, deciders: [{name: x, condition: 'company == "A"'}], fallbacks: {unasked: {visitorText: Hello}}}
- {name: f}
- {name: g, kinds: [checked_in]}
`, "a", "b", "c", "d", "e", "f", "g")...)
	if len(s.Warnings.Lines()) != 1 {
		t.Fatalf("%q", s.Warnings.Lines())
	}
	expect(t, s.Warnings.Lines()[0], "i.yaml:4 (a), i.yaml:6 (c), i.yaml:8 (e): every decider has a condition: ", "unasked")
}

func TestWarnings_NameNATSServersThatGetAPasswordInClear(t *testing.T) {
	dir := files(t, map[string]string{"ca": testCA(t)})
	user := []string{"NATS_USER=Zuser", "NATS_PASSWORD=Zsecret"}
	for _, c := range []struct {
		name     string
		settings []string
		want     int
	}{
		{"a user and a password", append(user, "NATS_URL=nats://nats:4222"), 1},
		{"a token", []string{"NATS_TOKEN=Zsecret", "NATS_URL=nats://nats:4222"}, 1},
		{"a user in the URL", []string{"NATS_URL=nats://Zuser:Zsecret@nats:4222"}, 1},
		{"a token in the URL", []string{"NATS_URL=nats://Zsecret@10.0.0.1:4222"}, 1},
		{"by WebSocket", append(user, "NATS_URL=ws://nats:80"), 1},
		{"by WebSocket, with an authority that it does not ask", append(user, "NATS_URL=ws://nats:80", "NATS_CA_FILE="+dir+"/ca"), 1},
		{"three servers", append(user, "NATS_URL=nats://a:4222,tls://b:4222,nats://c:4222"), 2},
		{"by TLS", append(user, "NATS_URL=tls://nats:4222"), 0},
		{"by WebSocket over TLS", append(user, "NATS_URL=wss://nats:443"), 0},
		{"with an authority, which demands TLS", append(user, "NATS_URL=nats://nats:4222", "NATS_CA_FILE="+dir+"/ca"), 0},
		{"on this machine", append(user, "NATS_URL=nats://localhost:4222,nats://127.0.0.1:4223,nats://[::1]:4224"), 0},
		{"without a password", []string{"NATS_URL=nats://nats:4222"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := strings.Join(load(t, c.settings...).Warnings.Lines(), "\n")
			if got := strings.Count(all, "does not require TLS"); got != c.want {
				t.Errorf("%d warnings, want %d:\n%s", got, c.want, all)
			}
			expectNot(t, all, "Zsecret", "Zuser")
		})
	}
}

func testCA(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestWarnings_NameIntegrationFieldsWithoutEffect(t *testing.T) {
	for _, c := range []struct{ name, entry, want string }{
		{"a capture that has ended", "{name: a, capture: {deliveries: 3, until: '2020-01-01T00:00:00Z'}}", "i.yaml:3: integration a: capture.until: is in the past, so nothing is captured"},
		{"a capture that has not", "{name: a, capture: {deliveries: 3, until: '2999-01-01T00:00:00Z'}}", ""},
		{"deciders that are never asked", "{name: a, kinds: [checked_in], decider: x}", "i.yaml:3: integration a: decider: has no effect: kinds does not contain"},
		{"a fallback that is never used", "{name: a, kinds: [checked_in], fallbacks: {timeout: {decision: accept}}}", "integration a: fallbacks: has no effect"},
		{"deciders that are asked", "{name: a, kinds: [checked_in, check_in_request], decider: x}", ""},
		{"no time for a decider", "{name: a, decisionBudget: 3ms}", "i.yaml:3: integration a: decisionBudget: 3ms is unusually short: less than 100ms"},
		{"a site that others name", "{name: hq}, {name: a, site: hq, kinds: [check_in_request]}", ""},
		{"a site that was left out", "{name: b, site: hq}, {name: a}", "i.yaml:3: integration a: has no site"},
		{"no sites at all", "{name: b}, {name: a}", ""},
		{"a site that is the name", "{name: b, site: hq}, {name: a, site: a}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := load(t, withFile(t, "defaults: {rejectionConfirmed: true}\nintegrations: [\n"+c.entry+"]", "a", "b", "hq")...)
			var got []string
			for _, line := range s.Warnings.Lines() {
				if !strings.Contains(line, "no integration has the name of this file") {
					got = append(got, line)
				}
			}
			all := strings.Join(got, "\n")
			if c.want == "" && all != "" {
				t.Errorf("warned: %s", all)
			}
			expect(t, all, c.want)
		})
	}
}

func TestWarnings_NameUnusuallyShortOrLongDurations(t *testing.T) {
	expect(t, strings.Join(load(t, "DECISION_BUDGET=2ms", "ORDERS_MAX_AGE=100d", "OVERRIDE_MAX_DURATION=1s", "DRAIN_DELAY=5h").Warnings.Lines(), "\n"),
		"SINE_RELAY_DECISION_BUDGET: 2ms is unusually short: less than 100ms", "SINE_RELAY_ORDERS_MAX_AGE: 2400h0m0s is unusually long: more than 1h0m0s",
		"SINE_RELAY_OVERRIDE_MAX_DURATION: 1s is unusually short", "SINE_RELAY_DRAIN_DELAY: 5h0m0s is unusually long")
	expectNot(t, strings.Join(load(t, "DRAIN_DELAY=0s").Warnings.Lines(), "\n"), "unusually")
	expect(t, invalid(t, "SPOOL_MAX_AGE=-1s"), "SINE_RELAY_SPOOL_MAX_AGE: must be ")
}
