package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// splicer replaces lines of a file, each with its end.
type splicer struct{ lines []string }

// keys replaces the lines of some keys of an entry, the last first: a line keeps its
// number until it is its turn.
func (s *splicer) keys(f *amended, keys []string) bool {
	n, indent := f.entry, f.entry.Column-1
	end := s.end(n)
	var added []string
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !slices.Contains(keys, key.Value) {
			continue
		}
		if key.Line == 0 { // it is new
			added = append(added, key.Value)
			continue
		}
		last := end
		if i+2 < len(n.Content) && n.Content[i+2].Line > 0 {
			last = s.trimmed(n.Content[i+2].Line - 1)
		}
		bare := *key
		bare.HeadComment, bare.FootComment = "", "" // they stay where they are
		if !s.replace(f, key.Line, last, indent, mapping(&bare, value)) {
			return false
		}
	}
	for _, key := range slices.Backward(added) {
		text, err := f.dump(mapping(scalarKey(key), lookup(n, key)), indent)
		if err != nil {
			return false
		}
		s.insert(s.endAfter(f, end), text)
	}
	return true
}

func scalarKey(key string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: key} }

func mapping(key, value *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, value}}
}

// entry replaces an entry that is written in one pair of braces.
func (s *splicer) entry(f *amended) bool {
	bare := *f.entry
	bare.HeadComment, bare.FootComment = "", ""
	return s.replace(f, f.entry.Line, s.end(f.entry), f.entry.Column-1, &bare)
}

// replace puts a node in place of lines, behind what stands on the first of them before
// the node, such as "- ".
func (s *splicer) replace(f *amended, first, last, indent int, n *yaml.Node) bool {
	if first < 1 || last < first || last > len(s.lines) || len(s.lines[first-1]) < indent {
		return false
	}
	text, err := f.dump(n, indent)
	if err != nil {
		return false
	}
	before := s.lines[first-1][:indent]
	with := before + strings.TrimPrefix(string(text), strings.Repeat(" ", indent))
	s.lines = slices.Replace(s.lines, first-1, last, strings.SplitAfter(with, "\n")...)
	return true
}

// insert adds text behind a line.
func (s *splicer) insert(line int, text []byte) {
	if line > 0 && !strings.HasSuffix(s.lines[line-1], "\n") {
		s.lines[line-1] += "\n"
	}
	s.lines = slices.Insert(s.lines, line, string(text))
}

// endAfter is where an entry ends that ended at a line before its keys were replaced.
func (s *splicer) endAfter(f *amended, end int) int {
	return end + len(s.lines) - len(strings.SplitAfter(string(f.content), "\n"))
}

// end is the last line of a node: with the lines that belong to a text or a list in it
// which the node does not count.
func (s *splicer) end(n *yaml.Node) int {
	last, indent := lastLine(n), n.Column-1
	for next := last + 1; next <= len(s.lines); next++ {
		line := strings.TrimRight(s.lines[next-1], " \r\n")
		if line == "" {
			continue
		}
		if len(line)-len(strings.TrimLeft(line, " ")) <= indent {
			break
		}
		last = next
	}
	return s.trimmed(last)
}

// trimmed goes back over lines that are blank or comments: they belong to what follows.
func (s *splicer) trimmed(line int) int {
	for line > 1 {
		text := strings.TrimSpace(s.lines[line-1])
		if text != "" && text[0] != '#' {
			break
		}
		line--
	}
	return line
}

func lastLine(n *yaml.Node) int {
	last := n.Line
	if n.Kind != yaml.AliasNode {
		for _, child := range n.Content {
			last = max(last, lastLine(child))
		}
	}
	return last
}
