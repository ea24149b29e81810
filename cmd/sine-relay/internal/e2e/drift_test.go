package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

const (
	renamedLine = "integration default: company is missing from the last 10 bodies of kind checked_in, and was there before; new since then: /data/organisation_of_the_visitor"
	newPlace    = "defaults:\n  fields:\n    company: [/data/organisation_of_the_visitor]\n"
)

// integrationsFile writes a file, which can be written again.
func integrationsFile(t *testing.T) (path string, write func(content string)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "integrations.yaml")
	return path, func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A rename is named by the readiness, and three lines of configuration mend it, which a
// running relay takes up.
func TestDrift_IsNamedUntilTheNewPlaceIsConfigured(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	file, write := integrationsFile(t)
	write("defaults: {}\n")
	p := runServe(t, "NATS_URL="+server.URL(), "INTEGRATIONS_FILE="+file).ready()
	p.rename()
	if _, body := p.get("/readyz?verbose"); !strings.HasPrefix(body, "ready") || !strings.Contains(body, renamedLine) {
		t.Errorf("readiness does not name it, or is not ready:\n%s", body)
	}
	if _, body := p.get("/readyz"); strings.Contains(body, "company") {
		t.Errorf("it is there unasked: %s", body)
	}
	write(newPlace)
	eventually(t, "it is mended", func() bool {
		_, body := p.get("/readyz?verbose")
		_, metrics := p.get("/metrics")
		return !strings.Contains(body, "is missing from") && !strings.Contains(metrics, "sine_relay_field_drift{")
	})
}

// What a relay that was restarted has not heard, a check of the configuration finds in
// what was stored; and it says whether a place that is to be configured is right.
func TestConfig_CheckComparesItWithWhatCame(t *testing.T) {
	t.Parallel()
	shipped := startDeployment(t, natsDir+"nats.conf")
	file, write := integrationsFile(t)
	write("defaults: {}\n")
	p := runServe(t, append(shipped.settings("relay"), "INTEGRATIONS_FILE="+file)...).ready()
	p.rename()
	operator := append(shipped.settings("admin"), "NATS_INBOX_PREFIX=_INBOX", "INTEGRATIONS_FILE="+file, "KEYS="+testKey)
	const drifted = "integration default: company is missing from the last 10 bodies of kind checked_in, and was there before; new since then: /data/organisation_of_the_visitor\n"
	for _, c := range []struct {
		name, file    string
		want, without string
	}{
		{"as it was", "defaults: {}\n", drifted, "expects:"},
		{"an expectation", "defaults: {expects: [company]}\n", "expects: 10 of the last 20 events lack company\n", "fields."},
		{"a wrong place", strings.Replace(newPlace, "organisation", "company", 1), "fields.company: none of the last 20 events has it at /data/company_of_the_visitor; some have it at a built-in place\n", "expects:"},
		{"the right place", newPlace, "50 stored events compared with the configuration\n", "company"},
	} {
		write(c.file)
		_, out, errOut := commandLine(environment(operator...), "config", "check", "--connect")
		if !strings.Contains(out, c.want) || strings.Contains(out, c.without) || strings.Contains(out+errOut, "Acme") {
			t.Errorf("%s: %s%s", c.name, out, errOut)
		}
		if _, out, _ := commandLine(environment(operator...), "config", "check", "--connect", "--output", "json"); !strings.Contains(out, `"compared": 50`) {
			t.Errorf("%s: %s", c.name, out)
		}
	}
	code, out, errOut := commandLine(environment(append(shipped.settings("relay"), "KEYS="+testKey)...), "config", "check", "--connect")
	if code != exitOK || !strings.Contains(out, "events were not compared with the configuration: this user may not read them") {
		t.Errorf("as the relay's user it ends with %d: %s%s", code, out, errOut)
	}
}
