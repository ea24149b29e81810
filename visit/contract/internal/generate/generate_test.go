package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is generated is committed, so that it is there for all who read it elsewhere.
func TestFiles_AreThoseOfTheTypesOfVisit(t *testing.T) {
	const remedy = "go generate ./visit/contract"
	files, err := generate("../../..")
	if err != nil {
		t.Fatal(err)
	}
	committed := os.DirFS("../../v1")
	for name, want := range files {
		if got, err := fs.ReadFile(committed, name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("visit/contract/v1/%s is stale: %s", name, remedy)
		}
	}
	err = fs.WalkDir(committed, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && files[path] == nil {
			t.Errorf("visit/contract/v1/%s is left over: %s", path, remedy)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever reads no Go finds nothing in the descriptions that only Go has.
func TestDescriptions_HaveTheNamesOfJSON(t *testing.T) {
	src, err := readSource("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for doc, want := range map[string]string{
		"Value is empty when the basis is [VisitKeyNone].": "`value` is empty when the basis is `none`.",
		"See [Event.Cause] and\nTimeBasis.":                "See `cause` of Event and `timeBasis`.",
		"One paragraph.\n\nAnother [Order.Identity].":      "One paragraph.\n\nAnother `visit.Order.Identity` of the Go package.",
		"The body on [Subjects.Event], a [CheckInRequest]": "The body on `visitors.v1.event.{site}.{kind}`, a CheckInRequest",
		"CauseExpired means `Value`.":                      "`expired` means `Value`.",
	} {
		if got := src.describe(doc, "VisitKey", "Origin"); got != want {
			t.Errorf("%q became %q, want %q", doc, got, want)
		}
	}
}

func TestSource_WithoutAPackageIsRefused(t *testing.T) {
	if _, err := readSource(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no source of package visit") {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("no Go"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSource(dir); err == nil {
		t.Error("what is not Go was read")
	}
	// Here the types have no comments.
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("package visit\n\ntype CheckInRequest struct{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := generate(dir); err == nil || !strings.Contains(err.Error(), "has no comment") {
		t.Errorf("%v", err)
	}
}

func TestRelease_IsKeptOnceAndForGood(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{"event.schema.json": []byte("{}\n"), "examples/event.json": []byte("[]\n")}
	if err := keep(files, dir, "v0.1.0"); err != nil {
		t.Fatal(err)
	}
	for name := range files {
		if _, err := os.Stat(filepath.Join(dir, "v0.1.0", name)); err != nil {
			t.Error(err)
		}
	}
	if err := keep(files, dir, "v0.1.0"); err == nil || !strings.Contains(err.Error(), "does not change") {
		t.Errorf("a second time: %v", err)
	}
	if err := keep(files, dir, "0.1"); err == nil || !strings.Contains(err.Error(), "is not a version") {
		t.Errorf("another version: %v", err)
	}
}

func TestWrite_LeavesNothingOver(t *testing.T) {
	dir := t.TempDir()
	if err := write(map[string][]byte{"old.json": nil, "examples/kept.json": nil}, dir); err != nil {
		t.Fatal(err)
	}
	if err := write(map[string][]byte{"examples/kept.json": []byte("[]")}, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "old.json")); err == nil {
		t.Error("a file that is not generated any more is still there")
	}
}

func TestReordered_OnlyMovesFields(t *testing.T) {
	got, err := reordered([]byte(`{"examples":[{"b":1,"a":1e400}],"z":"<","title":null,"$id":true,"a":[]}`))
	if want := `{"$id":true,"title":null,"z":"<","a":[],"examples":[{"b":1,"a":1e400}]}`; err != nil || string(got) != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
	for _, broken := range []string{`{"a":`, `[1`, `{"a":1`, `[{]`, ``} {
		if _, err := reordered([]byte(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
	if !json.Valid(got) {
		t.Error("not valid JSON")
	}
}
