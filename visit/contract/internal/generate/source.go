package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// source is what the source of package visit says beyond its types: the values of
// constants, and comments.
type source struct {
	// docs are the comments of types by "Type", of fields by "Type.Field", and of
	// constants by "Constant".
	docs map[string]string
	// values are those of string constants, and enums the constants of a type, in the
	// order of the source.
	values map[string]string
	enums  map[string][]string
	// names are the JSON names of fields, by "Type.Field".
	names map[string]string
	types map[string]bool
}

func readSource(dir string) (*source, error) {
	s := &source{docs: map[string]string{}, values: map[string]string{}, enums: map[string][]string{}, names: map[string]string{}, types: map[string]bool{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s has no source of package visit: %w", dir, cmp.Or(err, fs.ErrNotExist))
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.read(g)
			}
		}
	}
	return s, nil
}

func (s *source) read(g *ast.GenDecl) {
	before := ""
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.types[spec.Name.Name] = true
			s.docs[spec.Name.Name] = cmp.Or(spec.Doc.Text(), g.Doc.Text())
			if fields, ok := spec.Type.(*ast.StructType); ok {
				s.readFields(spec.Name.Name, fields)
			}
		case *ast.ValueSpec:
			before = s.readConstant(spec, before)
		}
	}
}

func (s *source) readFields(of string, fields *ast.StructType) {
	before := ""
	for _, f := range fields.Fields.List {
		for _, name := range f.Names {
			before = shared(f.Doc.Text(), before, name.Name)
			s.docs[of+"."+name.Name] = before
			if f.Tag != nil {
				tag, _ := strconv.Unquote(f.Tag.Value) // it compiles
				s.names[of+"."+name.Name], _, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			}
		}
	}
}

func (s *source) readConstant(spec *ast.ValueSpec, before string) string {
	for i, name := range spec.Names {
		before = shared(spec.Doc.Text(), before, name.Name)
		s.docs[name.Name] = before
		if i >= len(spec.Values) {
			continue
		}
		literal, ok := spec.Values[i].(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			continue
		}
		s.values[name.Name], _ = strconv.Unquote(literal.Value)
		if of, ok := spec.Type.(*ast.Ident); ok {
			s.enums[of.Name] = append(s.enums[of.Name], name.Name)
		}
	}
	return before
}

// shared is the comment of a name: its own, or that of the name before, if this
// speaks of both.
func shared(own, before, name string) string {
	if own == "" && regexp.MustCompile(`\b`+name+`\b`).MatchString(before) {
		return before
	}
	return own
}

// named finds links, what is in backquotes, and words that may be Go names.
var named = regexp.MustCompile("\\[([A-Za-z]\\w*)(?:\\.(\\w+))?\\]|`[^`]*`|\\b[A-Z]\\w*\\b")

// describe returns a comment for those who read no Go: names of fields become those
// in JSON, names of constants their values, and a paragraph is one line. scope are the
// structs whose fields the comment speaks of.
func (s *source) describe(doc string, scope ...string) string {
	var paragraphs []string
	for p := range strings.SplitSeq(strings.TrimSpace(doc), "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(p), " "))
	}
	return named.ReplaceAllStringFunc(strings.Join(paragraphs, "\n\n"), func(text string) string {
		link := named.FindStringSubmatch(text)
		switch {
		case strings.HasPrefix(text, "`"):
			return text
		case link[1] != "":
			return s.linked(link[1], link[2])
		}
		if value, ok := s.values[text]; ok {
			return "`" + value + "`"
		}
		for _, of := range scope {
			if name := s.names[of+"."+text]; name != "" {
				return "`" + name + "`"
			}
		}
		return text
	})
}

// linked is what stands for a link to a declaration of package visit.
func (s *source) linked(name, member string) string {
	if value, ok := s.values[name]; ok && member == "" {
		return "`" + value + "`"
	}
	if json := s.names[name+"."+member]; json != "" {
		return "`" + json + "` of " + name
	}
	if name == "Subjects" {
		if subject, ok := subjects[member]; ok {
			return "`" + subject + "`"
		}
	}
	for _, schema := range schemaTypes {
		if schema.Type.Name() == name && member == "" {
			return schema.title()
		}
	}
	if s.types[name] && member == "" {
		return name
	}
	if member != "" {
		name += "." + member
	}
	return "`visit." + name + "` of the Go package"
}

// subjects are those of messages, by the method of [visit.Subjects].
var subjects = map[string]string{
	"Ask":        visit.Subjects{}.Ask("{site}", "{decider}"),
	"Event":      visit.Subjects{}.Event("{site}", "{kind}"),
	"Decision":   visit.Subjects{}.Decision("{site}", "{result}"),
	"Quarantine": visit.Subjects{}.Quarantine("{site}"),
}
