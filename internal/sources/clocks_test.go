package sources

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What strips the monotonic reading of a time.Time, or leaves it out.
var wallOnly = []string{"UTC", "Local", "In", "Round", "Truncate", "Unix", "UnixMilli", "UnixMicro", "UnixNano"}

// Where the present is written down, and nothing is measured from it.
var writtenDown = map[string]string{
	"broker/outbox/refused.go":                "when what was set aside was received",
	"broker/orders/snapshot.go":               "when the file was written",
	"broker/discovery/service.go":             "when the relay started, for operators",
	"cmd/sine-relay/internal/cli/lockdown.go": "since when an order is in force",
	"relay/auth.go":                           "a metric",
}

// Somebody sets the clock: what is measured between two readings of the wall clock
// is wrong then, and a visitor is turned away. A time that was read for a duration
// keeps its monotonic reading, and is converted where it is written.
func TestClocks_DurationsAreNotMeasuredByTheWallClock(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || writtenDown[name] != "" {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		formatted := map[ast.Expr]bool{}
		ast.Inspect(file, func(n ast.Node) bool {
			of, method := methodCall(n)
			switch {
			case method == "Format":
				formatted[of] = true
			case slices.Contains(wallOnly, method) && isNow(of) && !formatted[n.(ast.Expr)]:
				t.Errorf("%s: time.Now().%s() has no monotonic reading: convert where it is written", files.Position(n.Pos()), method)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// methodCall returns what a method is called of, and its name, if n is such a call.
func methodCall(n ast.Node) (of ast.Expr, method string) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil, ""
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil, ""
	}
	return selector.X, selector.Sel.Name
}

func isNow(e ast.Expr) bool {
	of, method := methodCall(e)
	pkg, ok := of.(*ast.Ident)
	return method == "Now" && ok && pkg.Name == "time"
}
