package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sine-relay/sine-relay/visit"
)

// Amendment is what is to be set of an integration in the integrations file.
type Amendment struct {
	// Integration is the name of the entry; empty are the defaults.
	Integration string
	Settings    []AmendedSetting
}

// AmendedSetting is one of them.
type AmendedSetting struct {
	// Path leads to it, such as fields and company.
	Path []string
	// Value is a text, a truth value or a list of texts. Another value that was set
	// there gives way to it.
	Value any
	// Comment stands behind it, on its line.
	Comment string
}

// Amend returns the content of an integrations file with the settings. An entry that is
// absent is added, and empty content is a new file. Where it can, it leaves every line
// that it does not change as it is; else it writes all of them in the usual form. The
// comments stay in either case.
func Amend(content []byte, a Amendment) ([]byte, error) {
	f := amended{content: content}
	if err := f.read(); err != nil {
		return nil, err
	}
	if err := f.find(a.Integration); err != nil {
		return nil, err
	}
	var keys []string
	for _, s := range a.Settings {
		if err := f.set(s); err != nil {
			return nil, err
		}
		if !slices.Contains(keys, s.Path[0]) {
			keys = append(keys, s.Path[0])
		}
	}
	if text, ok := f.spliced(keys); ok {
		return text, nil
	}
	return f.dump(&f.root, 0)
}

// amended is a file while it is changed.
type amended struct {
	content []byte
	root    yaml.Node
	// entry is what is set, isNew that it was not there, and inBraces that it is written
	// in a pair of them.
	entry           *yaml.Node
	isNew, inBraces bool
}

var errNotAFile = errors.New("the file is not one of integrations: it must be a mapping with defaults and integrations")

func (f *amended) read() error {
	var documents []yaml.Node
	if err := yaml.Load(f.content, &documents, yaml.WithAllDocuments()); err != nil {
		var p Problems
		p.invalidYAML("the file", "", err)
		return p
	}
	switch {
	case len(documents) > 1:
		return errors.New("the file must be a single document")
	case len(documents) == 0 || documents[0].IsZero() || standsFor(&documents[0]).ShortTag() == "!!null":
		f.root = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
		f.root.HeadComment = strings.TrimSpace(string(f.content)) // there is nothing else in it
		f.isNew = true
	default:
		f.root = documents[0]
	}
	if standsFor(&f.root).Kind != yaml.MappingNode {
		return errNotAFile
	}
	return nil
}

// find finds the entry of a name, or the defaults, and adds what is absent.
func (f *amended) find(name string) error {
	root := standsFor(&f.root)
	if name == "" {
		if f.entry = ownValue(root, "defaults"); f.entry == nil || f.entry.Kind != yaml.MappingNode {
			f.entry, f.isNew = mappingAt(root, "defaults"), true
		}
		return f.found(keyNode(root, "defaults"))
	}
	list := lookup(root, "integrations")
	if list == nil || list.ShortTag() == "!!null" {
		list = &yaml.Node{Kind: yaml.SequenceNode}
		put(root, "integrations", list)
		f.isNew = true
	}
	if list = standsFor(list); list.Kind != yaml.SequenceNode {
		return errNotAFile
	}
	for _, entry := range list.Content {
		entry = standsFor(entry)
		if at := lookup(entry, "name"); at != nil && standsFor(at).Value == name {
			if f.entry != nil {
				return fmt.Errorf("integration %s is there twice", name)
			}
			f.entry = entry
		}
	}
	if f.entry == nil {
		if !visit.ValidName(name) {
			return fmt.Errorf("integration %s", invalidName(name))
		}
		f.entry, f.isNew = &yaml.Node{Kind: yaml.MappingNode}, true
		put(f.entry, "name", scalar(name))
		list.Content = append(list.Content, f.entry)
	}
	unshare(root, f.entry)
	return f.found(nil)
}

// found prepares the entry for what is set: a comment ends a line, and cannot stand in
// braces.
func (f *amended) found(key *yaml.Node) error {
	if f.entry == nil || f.entry.Kind != yaml.MappingNode {
		return errNotAFile
	}
	f.inBraces = f.entry.Style&yaml.FlowStyle != 0
	unbrace(key, f.entry)
	return nil
}

// set puts a setting into the entry.
func (f *amended) set(s AmendedSetting) error {
	n := f.entry
	for _, key := range s.Path[:len(s.Path)-1] {
		if own := ownValue(n, key); own != nil {
			unshare(standsFor(&f.root), own)
			own.Anchor = ""
		}
		inner := mappingAt(n, key)
		if inner == nil {
			return fmt.Errorf("%s is not a mapping", key)
		}
		unbrace(keyNode(n, key), inner)
		n = inner
	}
	value, err := nodeOf(s.Value)
	if err != nil {
		return err
	}
	key := s.Path[len(s.Path)-1]
	value.LineComment = s.Comment
	if before := lookup(n, key); before != nil && value.LineComment == "" {
		value.LineComment = before.LineComment
	}
	put(n, key, value)
	return nil
}

// spliced writes the changed keys of the entry into the lines that are there. It reports
// whether the result means what was meant.
func (f *amended) spliced(keys []string) ([]byte, bool) {
	if f.isNew || f.entry.Line == 0 {
		return nil, false
	}
	s := splicer{lines: strings.SplitAfter(string(f.content), "\n")}
	if f.inBraces && !s.entry(f) || !f.inBraces && !s.keys(f, keys) {
		return nil, false
	}
	text := []byte(strings.Join(s.lines, ""))
	meant, err := f.dump(&f.root, 0)
	return text, err == nil && meansTheSame(text, meant)
}

func meansTheSame(a, b []byte) bool {
	var x, y any
	return yaml.Load(a, &x) == nil && yaml.Load(b, &y) == nil && reflect.DeepEqual(x, y)
}

// dump writes a node, each line behind an indentation.
func (f *amended) dump(n *yaml.Node, indent int) ([]byte, error) {
	text, err := yaml.Dump(n, yaml.WithV4Defaults(), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(-1))
	if err != nil || indent == 0 {
		return text, err
	}
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) > 0 {
			b.WriteString(strings.Repeat(" ", indent))
		}
		b.Write(line)
	}
	return b.Bytes(), nil
}
