package relaytest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

const root = "../../../"

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(root + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The files of the page make a module in which go test passes. Modules come from the cache,
// in the versions of this one.
func TestDocs_TheDeciderOfThePagePassesItsTests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	found := regexp.MustCompile("(?ms)^`(\\w+\\.go)` [^\n]*\n\n```go\n(.*?)^```$").FindAllStringSubmatch(read(t, "docs/testing.md"), -1)
	if len(found) != 4 {
		t.Fatalf("%d files are in the page", len(found))
	}
	module := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(read(t, "go.mod"), "module example.com/watchlist")
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"go.sum": read(t, "go.sum"),
		"go.mod": module + "\nrequire github.com/sine-relay/sine-relay v0.0.0\n\nreplace github.com/sine-relay/sine-relay => " + absolute + "\n",
	}
	for _, f := range found {
		files[f[1]] = f[2]
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-v", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "\n--- PASS: Test") != 3 {
		t.Errorf("%v:\n%s", err, out)
	}
}

// The page lists the functions that return visits.
func TestDocs_AllVisitsAreListed(t *testing.T) {
	source := read(t, "visit/subscriber/subscribertest/situations.go")
	var functions []string
	for _, f := range regexp.MustCompile(`(?m)^func ([A-Z]\w*)\(\) (?:\[\])?Visit `).FindAllStringSubmatch(source, -1) {
		functions = append(functions, "`"+f[1]+"`")
	}
	_, listed, _ := strings.Cut(read(t, "docs/testing.md"), "<!-- visits: begin -->\n")
	listed, _, _ = strings.Cut(listed, "\n<!-- visits: end -->")
	slices.Sort(functions)
	named := strings.Split(listed, ", ")
	slices.Sort(named)
	if !slices.Equal(functions, named) {
		t.Errorf("docs/testing.md lists %s, there are %s", named, functions)
	}
	count := 0
	for range subscribertest.Visits() {
		count++
	}
	if want := len(functions) - 1 + len(subscribertest.Group()); count != want {
		t.Errorf("Visits has %d visits, want %d", count, want)
	}
}
