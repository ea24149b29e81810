package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Tables are where most of it is printed.
func TestOutput_EveryTableIsMadeByNewTable(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "tabwriter."+"NewWriter(") && file != "output.go" {
			t.Errorf("%s makes a table of its own: newTable makes every cell printable", file)
		}
	}
}
