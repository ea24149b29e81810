package sources

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sine-relay/sine-relay/"

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// goList asks the go command about packages.
func goList(t *testing.T, patterns ...string) map[string]goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, patterns...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]goPackage{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[strings.TrimPrefix(p.ImportPath, module)] = p
	}
}

// The hourglass: cmd knows everybody; relay, desk and broker know visit and not each
// other, and what they share is in internal, which knows nobody; visit knows the
// standard library.
func TestImports_PointOneWay(t *testing.T) {
	packages := goList(t, "./...")
	ours := func(path string) string {
		short, ok := strings.CutPrefix(path, module)
		if !ok {
			return ""
		}
		return short
	}
	for name, p := range packages {
		for _, path := range p.Imports {
			to := ours(path)
			room, target := strings.Split(name, "/")[0], strings.Split(to, "/")[0]
			switch {
			case to == "":
			case room == "cmd":
			case room == target && name != "visit" && room != "internal":
			case target == "internal" && (room == "relay" || room == "broker" || room == "desk"):
			case to == "internal/natsperm" && name == "visit/subscriber":
			case to == "visit/subscriber/internal/call" && strings.HasPrefix(name, "visit/subscriber"):
			case target == "visit" && to == "visit" && name != "visit":
			default:
				t.Errorf("%s must not import %s", name, to)
			}
		}
	}
	for _, name := range []string{"relay", "relay/policy", "relay/condition", "relay/fields", "desk"} {
		for _, dep := range packages[name].Deps {
			if strings.HasPrefix(dep, "github.com/nats-io/") || strings.HasPrefix(dep, "github.com/sethvargo/") {
				t.Errorf("%s depends on %s", name, dep)
			}
		}
	}
	for _, name := range []string{"visit", "visit/contract", "visit/subscriber/subscribertest"} {
		for _, dep := range packages[name].Deps {
			if strings.Contains(strings.Split(dep, "/")[0], ".") && !strings.HasPrefix(dep, "vendor/") && !strings.HasPrefix(ours(dep), "visit") {
				t.Errorf("%s depends on %s and not on the standard library alone", name, dep)
			}
		}
	}
}

// Each library has one place where it is used.
func TestImports_EachLibraryIsUsedInItsPackagesOnly(t *testing.T) {
	rooms := map[string][]string{
		"cel.dev/cel-go":                        {"relay/condition"},
		"github.com/coreos/go-oidc/v3":          {"desk/access"},
		"golang.org/x/oauth2":                   {"desk/access"},
		"github.com/gorilla/mux":                {"relay"},
		"github.com/spf13/pflag":                {"cmd/sine-relay/internal/cli"},
		"github.com/spf13/cobra":                {"cmd/sine-relay/internal/cli"},
		"github.com/sethvargo/go-envconfig":     {"cmd/sine-relay/internal/config"},
		"golang.org/x/text":                     {"relay/fields"},
		"go.yaml.in/yaml/v4":                    {"cmd/sine-relay/internal/config"},
		"github.com/nats-io/nats.go":            {"broker", "broker/admin", "broker/conn", "broker/conn/dial", "broker/desk", "broker/discovery", "broker/embedded", "broker/natstest", "broker/orders", "broker/orders/ledger", "broker/outbox/publish", "broker/streams", "internal/natsperm", "visit/subscriber", "cmd/sine-relay/relaytest", "cmd/sine-relay/internal/dev", "cmd/sine-relay/internal/attacks", "cmd/sine-relay/internal/load"},
		"github.com/nats-io/nats.go/jetstream":  {"broker/admin", "broker/conn", "broker/desk", "broker/natstest", "broker/orders", "broker/orders/ledger", "broker/outbox/publish", "broker/streams", "visit/subscriber", "cmd/sine-relay/relaytest", "cmd/sine-relay/internal/dev", "cmd/sine-relay/internal/load"},
		"github.com/nats-io/nats.go/micro":      {"broker/discovery", "visit/subscriber"},
		"github.com/nats-io/nats-server/v2":     {"broker/embedded", "broker/natstest"},
		"github.com/google/jsonschema-go":       {"visit/contract/internal/generate"},
		"github.com/santhosh-tekuri/jsonschema": {"internal/schematest"},
	}
	for name, p := range goList(t, "./...") {
		for _, path := range p.Imports {
			for library, allowed := range rooms {
				if (path == library || strings.HasPrefix(path, library+"/")) && !slices.Contains(allowed, name) {
					t.Errorf("%s must not import %s", name, path)
				}
			}
		}
	}
}

// Within broker calls go down: the picture in CONTRIBUTING.md shows each arrow, and no
// two of them make a circle.
func TestImports_BrokerIsAsInThePicture(t *testing.T) {
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, picture, _ := strings.Cut(string(text), "```mermaid")
	picture, _, _ = strings.Cut(picture, "```")
	var drawn, found []string
	for line := range strings.Lines(picture) {
		if from, to, ok := strings.Cut(strings.TrimSpace(line), " --> "); ok {
			for target := range strings.SplitSeq(to, " & ") {
				drawn = append(drawn, from+" -> "+target)
			}
		}
	}
	for name, p := range goList(t, "./broker/...") {
		for _, path := range p.Imports {
			if target, ok := strings.CutPrefix(path, module+"broker/"); ok {
				found = append(found, filepath.Base(name)+" -> "+filepath.Base(target))
			}
		}
	}
	slices.Sort(drawn)
	slices.Sort(found)
	if len(found) == 0 || !slices.Equal(drawn, found) {
		t.Errorf("CONTRIBUTING.md shows %q, the packages import %q", drawn, found)
	}
}

// The settings have names in cmd alone: elsewhere an error says what is wrong, and cmd
// what to set.
func TestSettings_AreNamedInCmdAlone(t *testing.T) {
	variable := regexp.MustCompile(`SINE_RELAY_[A-Z_]+`)
	const stream = "SINE_RELAY_REHEARSAL" // which does not exist
	err := filepath.WalkDir("../../broker", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range variable.FindAllString(string(text), -1) {
			if name != stream {
				t.Errorf("%s names %s", path, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImports_ClientPackagesDoNotDependOnTheServer(t *testing.T) {
	for name, p := range goList(t, "./visit/...", "./broker", "./relay/...") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "github.com/nats-io/nats-server/") {
				t.Errorf("%s depends on %s", name, dep)
			}
		}
	}
}
