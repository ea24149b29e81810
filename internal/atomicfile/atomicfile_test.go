package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWrite_ReplacesTheWholeFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(file+".new", []byte("what a crash left, and longer than the rest"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"first\n", "2\n"} {
		if err := Write(file, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != content {
			t.Errorf("%q %v, want %q", got, err, content)
		}
	}
	if left, err := filepath.Glob(file + "?*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestWrite_LeavesTheFileWhenItFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	if err := Write(file, []byte("before\n")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, []byte("after\n")); err == nil {
		t.Error("no error")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "before\n" {
		t.Errorf("%q %v", got, err)
	}
}

func TestReplace_KeepsWhoMayReadTheFileAndLinksToIt(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "link.yaml")
	if err := os.WriteFile(file, []byte("before\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("rules.yaml", link); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, []byte("after\n")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(file)
	if got, _ := os.ReadFile(link); err != nil || string(got) != "after\n" || info.Mode() != 0o640 {
		t.Errorf("%q %v %v", got, info.Mode(), err)
	}
	if target, err := os.Readlink(link); err != nil || target != "rules.yaml" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	if err := Replace(filepath.Join(dir, "new.yaml"), []byte("a\n")); err != nil {
		t.Error(err)
	}
	if err := Replace(filepath.Join(file, "below"), nil); err == nil {
		t.Error("below a file, there is no file")
	}
}
