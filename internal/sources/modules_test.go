package sources

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// modulesOf returns the modules of what a package imports, but for this one.
func modulesOf(t *testing.T, name string) (all []string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=Module", "./"+name)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ Module *struct{ Path string } }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && p.Module.Path+"/" != module {
			all = append(all, "`"+p.Module.Path+"`")
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Teams of other programs read in the contract's page what an import brings along.
func TestModules_AreThoseOfTheContractsPage(t *testing.T) {
	table := "| Package | Modules beside this one |\n|---|---|\n"
	for _, name := range []string{"visit", "visit/contract", "visit/subscriber/subscribertest", "visit/subscriber"} {
		found := modulesOf(t, name)
		if len(found) == 0 {
			found = []string{"none"}
		}
		table += fmt.Sprintf("| `%s` | %s |\n", name, strings.Join(found, ", "))
	}
	_, got, _ := strings.Cut(pages(t)["docs/contract.md"], "<!-- modules: begin -->\n")
	got, _, _ = strings.Cut(got, "<!-- modules: end -->")
	if got != table {
		t.Errorf("docs/contract.md has\n%s\nwant\n%s", got, table)
	}
}
