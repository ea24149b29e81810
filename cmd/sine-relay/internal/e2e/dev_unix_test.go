//go:build unix

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// dev is the newcomer's first command: what it prints must work as printed.
func TestDev_PrintsWhatWorksWhenPasted(t *testing.T) {
	dir := t.TempDir()
	key := ""
	for _, round := range []string{"first", "second"} {
		d := runDev(t, "NATS_STORE_DIR="+dir)
		calls := d.pasted()
		for i, want := range []string{"Welcome, Marguerite!", "eventId", "eventId"} {
			if got := calls[i].run(); !strings.Contains(got, want) {
				t.Errorf("%s round, call %d: %s", round, i, got)
			}
			var sent struct{ Date time.Time }
			if err := json.Unmarshal([]byte(calls[i].body), &sent); err != nil || time.Since(sent.Date).Abs() > 10*patience {
				t.Errorf("%s round, call %d: the date is %s, %v", round, i, sent.Date, err)
			}
		}
		calls[0].body = strings.Replace(calls[0].body, "Bexley Rigging", "Denied", 1)
		if got := calls[0].run(); !strings.Contains(got, "REJECTED") {
			t.Errorf("%s round: %s", round, got)
		}
		d.prints(`event .*checked_in  site default  Marguerite`)
		d.prints(`event .*checked_out  site default  Marguerite`)
		d.prints(`decision  \S+  accepted  site default  reference \S{5}  by decider default 0\.0\.0-example `)
		reference := regexp.MustCompile(`reference (\S+)`).FindStringSubmatch(d.prints(`decision .*rejected .*by decider default .*`))[1]
		if line := d.prints(`decision.*`); strings.Contains(line, "Marguerite") || strings.Contains(line, "Bexley") {
			t.Errorf("names in %s", line)
		}
		if given := calls[0].header.Get("x-sine-auth"); key != "" && given != key {
			t.Error("the second run has another key")
		} else {
			key = given
		}
		d.usersSignIn()
		d.ordersWork(reference)
		d.end()
	}
}

func (d *devRun) usersSignIn() {
	d.t.Helper()
	lines := regexp.MustCompile(`(?m)^ +(\w+) +(\S+) +(nats://\S+) +(receives|answers|runs)`).FindAllStringSubmatch(d.out.String(), -1)
	if len(lines) != 3 {
		d.t.Fatalf("%d users in:\n%s", len(lines), d.out.String())
	}
	for _, user := range lines {
		nc, err := nats.Connect(user[3])
		if err != nil {
			d.t.Fatalf("the URL of %s does not work: %v", user[1], err)
		}
		nc.Close()
		bare := regexp.MustCompile(`//.*@`).ReplaceAllString(user[3], "//")
		if nc, err = nats.Connect(bare, nats.UserInfo(user[1], user[2])); err != nil {
			d.t.Fatalf("user and password of %s do not work apart: %v", user[1], err)
		}
		nc.Close()
	}
}

func (d *devRun) ordersWork(reference string) {
	d.t.Helper()
	url := regexp.MustCompile(`export (SINE_RELAY_NATS_URL=\S+)`).FindStringSubmatch(d.out.String())
	commands := regexp.MustCompile(`(?m)^  go run ./cmd/sine-relay (.*?)(?: --message '(.*)')?$`).FindAllStringSubmatch(d.out.String(), -1)
	if url == nil || len(commands) != 3 {
		d.t.Fatalf("%v, and %d commands in:\n%s", url, len(commands), d.out.String())
	}
	for i, want := range []string{"Obeyed by 1", "is lifted", `response +reject`} {
		args := strings.Fields(strings.Replace(commands[i][1], "REFERENCE", reference, 1))
		if message := commands[i][2]; message != "" {
			args = append(args, "--message", message)
		}
		must(d.t, []string{url[1]}, want, args...)
	}
}

// A key that was given to dev is used and not printed.
func TestDev_PrintsWhatToPasteWhereKeysAreGiven(t *testing.T) {
	const secret = "Zsecret-key-0123456789"
	dir := filepath.Join(t.TempDir(), "it's here")
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	list := write("list", "# name: spring\n\n"+secret+",another-key-0123456789\n")
	write("keys/dock", " # name: spring\n"+secret+"\n")
	integrations := write("integrations.yaml", "integrations:\n- {name: lobby, site: hq}\n- {name: dock, site: hq}\n")
	cert, key, _ := certificate(t)
	for name, c := range map[string]struct{ settings, environ []string }{
		"a variable":          {[]string{"KEYS=" + secret + ",another-key-0123456789"}, []string{"SINE_RELAY_KEYS=" + secret + ",another-key-0123456789"}},
		"a file":              {[]string{"KEYS_FILE=" + list}, nil},
		"files, and one less": {[]string{"INTEGRATIONS_FILE=" + integrations, "KEYS_DIR=" + filepath.Join(dir, "keys")}, nil},
		"https":               {[]string{"KEYS_FILE=" + list, "TLS_CERT_FILE=" + cert, "TLS_KEY_FILE=" + key}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := runDev(t, append(c.settings, "NATS_STORE_DIR="+t.TempDir())...)
			for i, want := range []string{"Welcome, Marguerite!", "eventId", "eventId"} {
				if got := d.pasted(c.environ...)[i].run(); !strings.Contains(got, want) {
					t.Errorf("call %d: %s", i, got)
				}
			}
			d.end()
			if strings.Contains(d.out.String()+d.err.String(), secret) {
				t.Errorf("the key is printed:\n%s", d.out.String())
			}
		})
	}
}
