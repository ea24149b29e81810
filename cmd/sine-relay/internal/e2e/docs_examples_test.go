package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/sine-relay/sine-relay/visit"
)

// example is a fenced block of a page.
type example struct{ page, text string }

// examples are the blocks of a language in the pages that people read.
func examples(t *testing.T, language string) (all []example) {
	t.Helper()
	const root = "../../../../"
	block := regexp.MustCompile("(?ms)^([ \t]*)```" + language + "\n(.*?)^[ \t]*```[ \t]*$")
	for _, pattern := range []string{"*.md", "docs/*.md", "deploy/*/*.md", "helm/*/*.md"} {
		files, err := filepath.Glob(root + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range block.FindAllStringSubmatch(string(text), -1) {
				all = append(all, example{strings.TrimPrefix(file, root), regexp.MustCompile("(?m)^"+m[1]).ReplaceAllString(m[2], "")})
			}
		}
	}
	return all
}

// Each example of an integrations file is one that a relay takes.
func TestDocs_IntegrationsAreValid(t *testing.T) {
	found := 0
	for _, e := range examples(t, "yaml") {
		var fields map[string]any
		if err := yaml.Load([]byte(e.text), &fields); err != nil {
			t.Errorf("%s: %v\n%s", e.page, err, e.text)
		}
		if fields["integrations"] == nil && fields["defaults"] == nil {
			continue
		}
		found++
		file, keys := filepath.Join(t.TempDir(), "integrations.yaml"), t.TempDir()
		contents := map[string]string{file: e.text}
		integrations, _ := fields["integrations"].([]any)
		for _, in := range integrations {
			name, _ := in.(map[string]any)["name"].(string)
			contents[filepath.Join(keys, name)] = testKey
		}
		for path, content := range contents {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		settings := []string{"NATS_URL=nats://127.0.0.1:1", "INTEGRATIONS_FILE=" + file, "KEYS_DIR=" + keys}
		if integrations == nil {
			settings = append(settings, "KEYS="+testKey)
		}
		code, out, errOut := commandLine(environment(settings...), "config", "check")
		if code != exitOK {
			t.Errorf("%s: config check ended with %d:\n%s%s\n%s", e.page, code, out, errOut, e.text)
		}
	}
	if found < 5 {
		t.Errorf("only %d examples were found", found)
	}
}

// Each message in JSON is one of the contract's, without a field that it lacks.
func TestDocs_MessagesAreOfTheContract(t *testing.T) {
	all := examples(t, "json")
	for _, e := range all {
		if _, err := visit.ParseDecision([]byte(e.text)); err == nil {
			continue
		}
		type plain visit.Event // without UnmarshalJSON, which ignores what it does not know
		d := json.NewDecoder(strings.NewReader(e.text))
		d.DisallowUnknownFields()
		var event plain
		if err := d.Decode(&event); err != nil || !event.Kind.IsEvent() {
			t.Errorf("%s: neither a decision nor an event: %v\n%s", e.page, err, e.text)
		}
	}
	if len(all) < 2 {
		t.Errorf("only %d examples were found", len(all))
	}
}

// The snippets in Go compile, each in a function that has what stands around it.
func TestDocs_SnippetsCompile(t *testing.T) {
	all := examples(t, "go")
	var source bytes.Buffer
	source.WriteString(`package snippets

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/relaytest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

var (
	_ = fmt.Sprint
	t testing.TB
)

func onWatchlist(visit.Person) bool { return false }

func handle(context.Context, visit.Event) error { return nil }

`)
	for _, e := range all {
		if strings.HasPrefix(e.text, "package ") {
			continue // a whole file; package relaytest compiles those of the page about tests
		}
		fmt.Fprintf(&source, "// %s\nfunc _(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) (err error) {\n{\n%s\nreturn err\n}\n}\n\n", e.page, e.text)
	}
	file, err := filepath.Abs("snippets/snippets.go") // which is in no folder, but laid over it
	if err != nil {
		t.Fatal(err)
	}
	laid, overlay := filepath.Join(t.TempDir(), "snippets.go"), filepath.Join(t.TempDir(), "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: laid}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{laid: source.Bytes(), overlay: replace} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "./snippets").CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s\n%s", err, out, source.Bytes())
	}
	if len(all) < 3 {
		t.Errorf("only %d snippets were found", len(all))
	}
}
