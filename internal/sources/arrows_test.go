package sources

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
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

// The hourglass: cmd knows everybody; relay and broker know visit and not each
// other, and what they share is in internal, which knows nobody; visit knows the
// standard library.
func TestTheArrowsPointOneWay(t *testing.T) {
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
			case target == "internal" && (room == "relay" || room == "broker"):
			case to == "internal/natsperm" && name == "visit/subscriber":
			case target == "visit" && to == "visit" && name != "visit":
			default:
				t.Errorf("%s must not import %s", name, to)
			}
		}
	}
	for _, name := range []string{"relay", "relay/policy", "relay/condition"} {
		for _, dep := range packages[name].Deps {
			if strings.HasPrefix(dep, "github.com/nats-io/") || strings.HasPrefix(dep, "github.com/sethvargo/") {
				t.Errorf("%s depends on %s", name, dep)
			}
		}
	}
	for _, dep := range packages["visit"].Deps {
		if strings.Contains(strings.Split(dep, "/")[0], ".") && !strings.HasPrefix(dep, "vendor/") {
			t.Errorf("visit depends on %s and not on the standard library alone", dep)
		}
	}
}

// Each library has one place where it is used.
func TestLibrariesKeepToTheirRooms(t *testing.T) {
	rooms := map[string][]string{
		"cel.dev/cel-go":                       {"relay/condition"},
		"github.com/gorilla/mux":               {"relay"},
		"github.com/spf13/pflag":               {"cmd/sine-relay/internal/cli"},
		"github.com/spf13/cobra":               {"cmd/sine-relay/internal/cli"},
		"github.com/sethvargo/go-envconfig":    {"cmd/sine-relay/internal/config"},
		"go.yaml.in/yaml/v4":                   {"cmd/sine-relay/internal/config"},
		"github.com/nats-io/nats.go":           {"broker", "internal/natsperm", "broker/natstest", "broker/embedded", "broker/orders", "visit/subscriber", "cmd/sine-relay/internal/dev", "cmd/sine-relay/internal/attacks", "cmd/sine-relay/internal/load"},
		"github.com/nats-io/nats.go/jetstream": {"broker", "broker/natstest", "broker/orders", "visit/subscriber", "cmd/sine-relay/internal/dev", "cmd/sine-relay/internal/load"},
		"github.com/nats-io/nats.go/micro":     {"broker", "visit/subscriber"},
		"github.com/nats-io/nats-server/v2":    {"broker/embedded", "broker/natstest"},
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

func TestTheServerIsNotPartOfTheClientsPackages(t *testing.T) {
	for name, p := range goList(t, "./visit/...", "./broker", "./relay/...") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "github.com/nats-io/nats-server/") {
				t.Errorf("%s depends on %s", name, dep)
			}
		}
	}
}
