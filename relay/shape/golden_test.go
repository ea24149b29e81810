package shape

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var golden = http.Header{
	"Content-Type": {"application/json; charset=utf-8"},
	"User-Agent":   {"axios/0.21.1"},
	"X-Sine-Auth":  {"not-a-key-of-anybody"},
}

// Each body stands beside its shape, first as people read it, then as JSON.
func TestShapesOfSamples(t *testing.T) {
	for _, file := range samples(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			s := Of(golden, readFile(t, file))
			encoded, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, "testdata/"+name+".golden", []byte(s.Text()+"\n"+string(encoded)+"\n"))
		})
	}
}

func samples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	return files
}

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, file); !bytes.Equal(got, want) {
		t.Errorf("differs from %s; -update rewrites it.\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}
