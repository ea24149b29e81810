package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// parseYAML returns the root of a file of one document, or reports what is wrong
// with it.
func parseYAML(f *Problems, name string, content []byte) *yaml.Node {
	var documents []yaml.Node
	switch err := yaml.Load(content, &documents, yaml.WithAllDocuments()); {
	case err != nil:
		f.invalidYAML(name, "", err)
	case len(documents) == 0:
		f.add(name, "is empty")
	case len(documents) > 1:
		f.add(name, "must be a single document, not %d", len(documents))
	default:
		return &documents[0]
	}
	return nil
}

// invalidYAML adds an error of the YAML library.
func (f *Problems) invalidYAML(name, of string, err error) {
	var at *yaml.LoadError
	if !errors.As(err, &at) {
		f.about(name, of, "%v", err)
		return
	}
	if at.Mark.Line > 0 {
		name = fmt.Sprintf("%s:%d", name, at.Mark.Line)
	}
	f.about(name, of, "%s", strings.TrimPrefix(at.Message, "yaml: "))
}

// load reads the node into a value of which it is given the address, and adds what
// does not fit: fields that are unknown or set twice, and values of another kind.
// The library's own errors for these name Go types and quote values, which may be
// secrets.
//
// It reports whether a part could not be read. What could be is there all the
// same, so that the rest is checked in the same run.
func (p fieldPath) load(into any) (partial bool) {
	fit := nodeCheck{p, map[*yaml.Node]bool{}}.fits("", p.node, reflect.TypeOf(into).Elem())
	if err := p.node.Load(into); err != nil && fit {
		p.problems.invalidYAML(p.file, p.of, err)
		return true
	}
	return !fit
}

// nodeCheck checks nodes against the types that they are read into, none of which
// contains itself: an alias of what it stands in would have it recurse without end.
type nodeCheck struct {
	fieldPath
	merging map[*yaml.Node]bool // what contains itself is left to the library to refuse
}

// fits checks a node. An unknown field fits: nothing is missing because of it.
func (c nodeCheck) fits(field string, n *yaml.Node, t reflect.Type) bool {
	n = standsFor(n)
	switch {
	case isNull(n), t == reflect.TypeFor[yaml.Node](), t.Kind() == reflect.Interface:
		return true
	case t.Kind() == reflect.Pointer:
		return c.fits(field, n, t.Elem())
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return c.isKind(field, n, yaml.MappingNode) && c.fieldsFit(field, n, t)
	case t.Kind() == reflect.Slice:
		return c.isKind(field, n, yaml.SequenceNode) && c.elementsFit(field, n, t)
	case !c.isKind(field, n, yaml.ScalarNode):
		return false
	}
	err := n.Load(reflect.New(t).Interface())
	if err != nil {
		c.add(n, field, "must be %s", map[reflect.Kind]string{reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.String: "a string"}[t.Kind()])
	}
	return err == nil
}

func (c nodeCheck) elementsFit(field string, n *yaml.Node, t reflect.Type) bool {
	fit := true
	for i, element := range n.Content {
		field := fmt.Sprintf("%s[%d]", field, i)
		if isNull(element) && t.Elem() != reflect.TypeFor[yaml.Node]() {
			// The library would leave it out: one without a value would make an empty list,
			// which undoes a default.
			c.add(element, field, "has no value; write one, or remove the element")
			fit = false
		}
		fit = c.fits(field, element, t.Elem()) && fit
	}
	return fit
}

func (c nodeCheck) fieldsFit(field string, n *yaml.Node, t reflect.Type) bool {
	fit := true
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := standsFor(n.Content[i]), n.Content[i+1]
		below, exists := fieldOf(t, key.Value)
		switch {
		case key.ShortTag() == "!!merge":
			fit = c.mergedFit(field, value, t) && fit
		case key.Kind != yaml.ScalarNode:
			c.add(key, field, "the name of a field must be a string")
			fit = false
		case !exists:
			c.add(key, field, "unknown field %q%s", key.Value, fieldHint(key.Value, t))
		case seen[key.Value]:
			c.add(key, field, "field %q is set twice", key.Value)
			fit = false
		case isNull(value) && below.Kind() == reflect.Slice && t.Kind() == reflect.Map:
			c.add(key, field, "%s has no value; write a list, or [] for none, or remove it", key.Value)
			fit = false
		default:
			seen[key.Value] = true
			fit = c.fits(strings.TrimPrefix(field+"."+key.Value, "."), value, below) && fit
		}
	}
	return fit
}

func isNull(n *yaml.Node) bool { return standsFor(n).ShortTag() == "!!null" }

// mergedFit checks what "<<" merges: a mapping or a list of them.
func (c nodeCheck) mergedFit(field string, n *yaml.Node, t reflect.Type) bool {
	n = standsFor(n)
	if c.merging[n] {
		return true
	}
	c.merging[n] = true
	defer delete(c.merging, n)
	fit := true
	switch n.Kind {
	case yaml.MappingNode:
		fit = c.fieldsFit(field, n, t)
	case yaml.SequenceNode:
		for _, element := range n.Content {
			fit = c.mergedFit(field, element, t) && fit
		}
	}
	return fit
}

func (c nodeCheck) isKind(field string, n *yaml.Node, wanted yaml.Kind) bool {
	if n.Kind != wanted {
		names := map[yaml.Kind]string{yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}
		c.add(n, field, "must be %s, not %s", names[wanted], names[n.Kind])
	}
	return n.Kind == wanted
}

// add adds a problem of a node.
func (c nodeCheck) add(n *yaml.Node, field, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if field != "" {
		what = field + ": " + what
	}
	c.problems.about(fmt.Sprintf("%s:%d", c.file, n.Line), c.of, "%s", what)
}

// standsFor returns what a document or an alias stands for.
func standsFor(n *yaml.Node) *yaml.Node {
	for {
		switch n.Kind {
		case yaml.DocumentNode:
			n = n.Content[0]
		case yaml.AliasNode:
			n = n.Alias
		default:
			return n
		}
	}
}

// fieldOf returns the type of a field by its name in the file.
func fieldOf(t reflect.Type, name string) (field reflect.Type, exists bool) {
	if t.Kind() == reflect.Map {
		return t.Elem(), true
	}
	for f := range t.Fields() {
		switch tag := f.Tag.Get("yaml"); tag {
		case name:
			return f.Type, name != ""
		case ",inline":
			if field, exists = fieldOf(f.Type, name); exists {
				return field, true
			}
		}
	}
	return nil, false
}

// fewFields are named where none of them is near.
const fewFields = 4

// fieldHint says which field was meant, of those that a type has.
func fieldHint(field string, t reflect.Type) string {
	if lower := strings.ToLower(field); strings.Contains(lower, "key") || strings.Contains(lower, "secret") {
		return ": this file holds no secret; put keys into the file of the integration's name in SINE_RELAY_KEYS_DIR"
	}
	names := fieldNames(t)
	if hint := DidYouMean(field, names); hint != "" || len(names) > fewFields {
		return hint
	}
	return "; must be one of " + strings.Join(names, ", ")
}

// fieldNames are those that a type has in the file.
func fieldNames(t reflect.Type) (names []string) {
	for f := range t.Fields() {
		switch tag := f.Tag.Get("yaml"); tag {
		case "":
		case ",inline":
			names = append(names, fieldNames(f.Type)...)
		default:
			names = append(names, tag)
		}
	}
	return names
}
