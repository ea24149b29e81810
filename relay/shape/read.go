package shape

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// reader goes through a body once and gathers what it looks like.
type reader struct {
	in   *jsontext.Decoder
	body Body
	root *node
	// nodes counts those made.
	nodes int
	// noRoom counts the values at places that got no node, and tooDeep the
	// objects and arrays that were not looked into.
	noRoom, tooDeep int
}

func read(body []byte) *reader {
	r := &reader{root: &node{mayNameEvent: true}, nodes: 1}
	content, bom := bytes.CutPrefix(body, byteOrderMark)
	r.body = Body{
		Bytes:         len(body),
		UTF8:          utf8.Valid(body),
		BOM:           bom,
		Depth:         depth(content),
		TrailingSpace: len(content) - len(bytes.TrimRight(content, " \t\r\n")),
	}
	r.in = jsontext.NewDecoder(bytes.NewBuffer(content), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	err := r.value(r.root, 1)
	if err == nil {
		_, err = r.in.ReadToken() // nothing may follow
	}
	r.body.JSON = errors.Is(err, io.EOF) && len(r.root.values.list) > 0
	if !r.body.JSON {
		r.body.StoppedAt = len(body) - len(content) + int(r.in.InputOffset())
	}
	return r
}

// value reads the value of a node, which is nil where there was no room for one.
// An object or array there is the depth-th within one another.
func (r *reader) value(n *node, depth int) error {
	kind := r.in.PeekKind()
	nested := kind == '{' || kind == '['
	switch {
	case n == nil:
		r.noRoom++
		return r.in.SkipValue()
	case nested && depth > maxDepth:
		r.tooDeep++
		n.values.add(Form{Type: types[kind], Class: "too deep", Count: 1})
		return r.in.SkipValue()
	case kind == '{':
		keys := make(map[string]bool)
		return r.each(n, kind, func() error { return r.field(n, keys, depth) })
	case kind == '[':
		return r.each(n, kind, func() error { return r.value(r.child(n, elements), depth+1) })
	}
	value, err := r.in.ReadValue()
	if err == nil {
		n.values.add(n.scalar(value))
	}
	return err
}

// each reads an object or an array with next, which reads what is in it. What
// breaks off counts as far as it was read.
func (r *reader) each(n *node, kind jsontext.Kind, next func() error) error {
	_, err := r.in.ReadToken()
	length := 0
	for err == nil && r.in.PeekKind() != closing[kind] {
		if err = next(); err == nil {
			length++
		}
	}
	n.values.add(Form{Type: types[kind], Count: 1, Length: exactly(length)})
	if err != nil {
		return err
	}
	_, err = r.in.ReadToken()
	return err
}

// field reads a key and its value; keys are those that the object already has.
func (r *reader) field(n *node, keys map[string]bool, depth int) error {
	written, err := r.in.ReadValue()
	if err != nil {
		return err
	}
	key := content(written)
	if keys[key] {
		r.body.DuplicateKeys++
	}
	keys[key] = true
	if isName(key) {
		return r.value(r.child(n, key), depth+1)
	}
	n.isTable = true
	masked := r.child(n, maskedKeys)
	if masked != nil {
		masked.keys.add(classify(key))
	}
	return r.value(masked, depth+1)
}

// child is the node one step further, or nil where there is no room for it.
func (r *reader) child(n *node, step string) *node {
	if c := n.children[step]; c != nil {
		return c
	}
	if r.nodes == maxNodes {
		return nil
	}
	r.nodes++
	c := n.child(step)
	c.isEvent = n.mayNameEvent && step == "event"
	c.mayNameEvent = n == r.root && (step == "payload" || step == "body")
	return c
}

// depth counts the brackets around what is nested deepest, without parsing.
func depth(body []byte) int {
	deepest, open, inText := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case inText && b == '\\':
			i++
		case b == '"':
			inText = !inText
		case inText:
		case b == '{' || b == '[':
			open++
			deepest = max(deepest, open)
		case b == '}' || b == ']':
			open--
		}
	}
	return deepest
}

// content is what a text says. Half a surrogate pair or a byte that is not UTF-8
// becomes the replacement character, and is an error that changes nothing.
func content(text jsontext.Value) string {
	said, _ := jsontext.AppendUnquote(nil, text)
	return string(said)
}
