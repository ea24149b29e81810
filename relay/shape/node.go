package shape

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Steps that are no key's name.
const (
	elements   = "[]"
	maskedKeys = "{}"
)

var types = map[jsontext.Kind]string{'"': "string", '0': "number", 't': "boolean", 'f': "boolean", 'n': "null", '{': "object", '[': "array"}

var closing = map[jsontext.Kind]jsontext.Kind{'{': '}', '[': ']'}

// node is one place in the body, and the forms of all that stood there.
type node struct {
	values, keys forms
	steps        []string // in the order in which they first came
	children     map[string]*node

	isTable      bool // one of its keys at least is masked
	isEvent      bool // it names the event
	mayNameEvent bool // its field "event" does
}

// child returns the node one step further, and makes it when there is none.
func (n *node) child(step string) *node {
	if c := n.children[step]; c != nil {
		return c
	}
	if n.children == nil {
		n.children = make(map[string]*node)
	}
	c := &node{}
	n.steps = append(n.steps, step)
	n.children[step] = c
	return c
}

// scalar is the form of a value that is neither object nor array.
func (n *node) scalar(value jsontext.Value) Form {
	switch kind := value.Kind(); kind {
	case '"':
		text := content(value)
		if n.isEvent && isName(text) {
			return Form{Type: types[kind], Class: "name", Value: text, Count: 1}
		}
		return classify(text)
	case '0':
		return number(string(value))
	default:
		return Form{Type: types[kind], Count: 1}
	}
}

// maskTables hides the keys of every object that has a masked one: where one key
// is somebody's question or address, those beside it may be as well, though they
// are single words. Names that Sine is known to use stay.
func (n *node) maskTables() {
	if n.isTable {
		n.maskKeys()
	}
	for _, c := range n.children {
		c.maskTables()
	}
}

func (n *node) maskKeys() {
	masked := n.child(maskedKeys)
	var kept []string
	for _, step := range n.steps {
		if step == maskedKeys || known[step] {
			kept = append(kept, step)
			continue
		}
		c := n.children[step]
		key := classify(step)
		key.Count = max(1, c.values.count()) // the body may end after a key
		masked.keys.add(key)
		masked.merge(c)
		delete(n.children, step)
	}
	n.steps = kept
}

// merge adds what stood at another place.
func (n *node) merge(other *node) {
	n.isTable = n.isTable || other.isTable
	n.values.merge(other.values)
	n.keys.merge(other.keys)
	for _, step := range other.steps {
		n.child(step).merge(other.children[step])
	}
}

// list appends the node's field and those within it.
func (n *node) list(path string, fields []Field) []Field {
	if n.values.count() > 0 {
		fields = append(fields, Field{Path: cmp.Or(path, "$"), Keys: n.keys.list, Values: n.values.list, More: n.values.more})
	}
	for _, step := range n.steps {
		fields = n.children[step].list(join(path, step), fields)
	}
	return fields
}

func join(path, step string) string {
	switch {
	case step == elements || step == maskedKeys:
		return path + step
	case strings.Contains(step, "."):
		step = strconv.Quote(step)
	}
	if path == "" {
		return step
	}
	return path + "." + step
}
