// Command materials writes what a binary is made of: the licences and notices of
// every module in it, which its users must get with it, and a bill of materials
// in the form of CycloneDX 1.6.
//
//	go run ./.ci/lib/materials BINARY VERSION FOLDER
//
// Which modules those are the binary itself says; their files are those of the
// module cache that it was built from.
package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: materials BINARY VERSION FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "materials:", err)
		os.Exit(1)
	}
}

func write(binary, version, folder string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	notices, err := noticesOf(info)
	if err != nil {
		return err
	}
	bill, err := json.MarshalIndent(billOf(info, version), "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "THIRD-PARTY-NOTICES.txt"), notices, 0o644),
		os.WriteFile(filepath.Join(folder, "sine-relay.cdx.json"), append(bill, '\n'), 0o644))
}

// legal are the files that a licence asks to be passed on.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([-.].*)?$`)

// noticesOf fails for a module without a licence: nobody may pass that on.
func noticesOf(info *debug.BuildInfo) ([]byte, error) {
	cache, err := goEnv("GOMODCACHE")
	if err != nil {
		return nil, err
	}
	root, err := goEnv("GOROOT")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("Sine Relay contains the software below. Each part stands under its own licence.\n" +
		"The image also contains Mozilla's list of certificate authorities, under the\nMozilla Public License 2.0.\n")
	if err := appendLegal(&b, "The Go standard library "+info.GoVersion, root); err != nil {
		return nil, err
	}
	for _, m := range info.Deps {
		folder := filepath.Join(cache, escaped(m.Path)+"@"+escaped(m.Version))
		if err := appendLegal(&b, m.Path+" "+m.Version, folder); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func goEnv(name string) (string, error) {
	out, err := exec.Command("go", "env", name).Output()
	return strings.TrimSpace(string(out)), err
}

func appendLegal(b *bytes.Buffer, title, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !legal.MatchString(e.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		found = true
		line := strings.Repeat("=", 78)
		fmt.Fprintf(b, "\n%s\n%s: %s\n%s\n\n%s\n", line, title, e.Name(), line, bytes.TrimSpace(content))
	}
	if !found {
		return fmt.Errorf("%s: no licence in its folder", title)
	}
	return nil
}

// escaped is a module's path or version as the module cache writes it: a capital
// is an exclamation mark and the small letter.
func escaped(s string) string {
	return regexp.MustCompile(`[A-Z]`).ReplaceAllStringFunc(s, func(c string) string { return "!" + strings.ToLower(c) })
}

type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	URL     string `json:"purl,omitempty"`
	Ref     string `json:"bom-ref,omitempty"`
}

type bill struct {
	Format      string `json:"bomFormat"`
	SpecVersion string `json:"specVersion"`
	Version     int    `json:"version"`
	Metadata    struct {
		Component component `json:"component"`
	} `json:"metadata"`
	Components []component `json:"components"`
}

func billOf(info *debug.BuildInfo, version string) bill {
	b := bill{Format: "CycloneDX", SpecVersion: "1.6", Version: 1}
	b.Metadata.Component = component{Type: "application", Name: "sine-relay", Version: version}
	golang := strings.TrimPrefix(info.GoVersion, "go")
	b.Components = append(b.Components, component{Type: "application", Name: "go", Version: golang, URL: "pkg:golang/stdlib@" + golang, Ref: "stdlib@" + golang})
	for _, m := range info.Deps {
		at := m.Path + "@" + m.Version
		b.Components = append(b.Components, component{Type: "library", Name: m.Path, Version: m.Version, URL: "pkg:golang/" + at, Ref: at})
	}
	return b
}
