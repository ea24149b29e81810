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
	"slices"
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
	parts, err := partsOf(info)
	if err != nil {
		return err
	}
	bill, err := json.MarshalIndent(billOf(parts, version), "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "THIRD-PARTY-NOTICES.txt"), noticesOf(parts), 0o644),
		os.WriteFile(filepath.Join(folder, "sine-relay.cdx.json"), append(bill, '\n'), 0o644))
}

// legal are the files that a licence asks to be passed on.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([-.].*)?$`)

// part is one thing that the binary is made of.
type part struct {
	kind, name, version string
	legal               []file
	licences            []string // as SPDX names them
}

type file struct {
	name    string
	content []byte
}

// partsOf fails for a part without a licence, or with one that nobody has looked at
// yet: such a part may not be passed on.
func partsOf(info *debug.BuildInfo) ([]part, error) {
	cache, err := goEnv("GOMODCACHE")
	if err != nil {
		return nil, err
	}
	root, err := goEnv("GOROOT")
	if err != nil {
		return nil, err
	}
	golang := strings.TrimPrefix(info.GoVersion, "go")
	parts := []part{{kind: "application", name: "stdlib", version: golang}}
	folders := []string{root}
	for _, m := range info.Deps {
		parts = append(parts, part{kind: "library", name: m.Path, version: m.Version})
		folders = append(folders, filepath.Join(cache, escaped(m.Path)+"@"+escaped(m.Version)))
	}
	for i := range parts {
		if err := parts[i].read(folders[i]); err != nil {
			return nil, fmt.Errorf("%s %s: %w", parts[i].name, parts[i].version, err)
		}
	}
	return parts, nil
}

func goEnv(name string) (string, error) {
	out, err := exec.Command("go", "env", name).Output()
	return strings.TrimSpace(string(out)), err
}

// read takes what is of legal interest from a module's folder.
func (p *part) read(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || !legal.MatchString(e.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		p.legal = append(p.legal, file{e.Name(), content})
		p.licences = append(p.licences, licencesIn(content)...)
	}
	if len(p.licences) == 0 {
		return errors.New("no licence that is known here in its folder")
	}
	slices.Sort(p.licences)
	p.licences = slices.Compact(p.licences)
	return nil
}

// known has sentences and the licence that alone has them.
var known = map[string]string{
	"Apache License Version 2.0, January 2004":                                     "Apache-2.0",
	"under the Apache License, Version 2.0":                                        "Apache-2.0",
	"endorse or promote products derived from this software":                       "BSD-3-Clause",
	"Permission is hereby granted, free of charge, to any person obtaining a copy": "MIT",
}

// licencesIn names those of a text, which may hold several: the parts of a module
// may have licences of their own.
func licencesIn(text []byte) (ids []string) {
	words := strings.Join(strings.Fields(string(text)), " ")
	for sentence, id := range known {
		if strings.Contains(words, sentence) {
			ids = append(ids, id)
		}
	}
	return ids
}

func noticesOf(parts []part) []byte {
	var b bytes.Buffer
	b.WriteString("Sine Relay contains the software below. Each part stands under its own licence.\n" +
		"The image also contains Mozilla's list of certificate authorities, under the\nMozilla Public License 2.0.\n")
	line := strings.Repeat("=", 78)
	for _, p := range parts {
		for _, f := range p.legal {
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n%s\n\n%s\n", line, p.name, p.version, f.name, line, bytes.TrimSpace(f.content))
		}
	}
	return b.Bytes()
}

// escaped is a module's path or version as the module cache writes it: a capital
// is an exclamation mark and the small letter.
func escaped(s string) string {
	return regexp.MustCompile(`[A-Z]`).ReplaceAllStringFunc(s, func(c string) string { return "!" + strings.ToLower(c) })
}

type component struct {
	Type     string    `json:"type"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	URL      string    `json:"purl,omitempty"`
	Ref      string    `json:"bom-ref,omitempty"`
	Licences []licence `json:"licenses"`
}

type licence struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

func componentOf(kind, name, version string, ids ...string) component {
	at := name + "@" + version
	c := component{Type: kind, Name: name, Version: version, URL: "pkg:golang/" + at, Ref: at}
	for _, id := range ids {
		l := licence{}
		l.License.ID = id
		c.Licences = append(c.Licences, l)
	}
	return c
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

func billOf(parts []part, version string) bill {
	b := bill{Format: "CycloneDX", SpecVersion: "1.6", Version: 1}
	b.Metadata.Component = componentOf("application", "github.com/sine-relay/sine-relay", "v"+version, "Apache-2.0")
	for _, p := range parts {
		b.Components = append(b.Components, componentOf(p.kind, p.name, p.version, p.licences...))
	}
	return b
}
