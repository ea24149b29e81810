package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

// unbrace writes a mapping over several lines. Its comment stands behind its key, or
// behind its first value.
func unbrace(key, n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.LineComment == "" {
		return
	}
	if key == nil && len(n.Content) > 1 {
		key = n.Content[1]
	}
	if key != nil {
		key.LineComment, n.LineComment = n.LineComment, ""
	}
}

// unshare gives those that refer to a node a copy of it, as it is before it is changed.
func unshare(all, n *yaml.Node) {
	if n.Anchor == "" {
		return
	}
	for i, child := range all.Content {
		switch {
		case child.Kind == yaml.AliasNode && child.Alias == n:
			all.Content[i] = cloned(n)
		case child != n:
			unshare(child, n)
		}
	}
}

func nodeOf(value any) (*yaml.Node, error) {
	switch v := value.(type) {
	case string:
		return scalar(v), nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, text := range v {
			list.Content = append(list.Content, scalar(text))
		}
		return list, nil
	default:
		return nil, fmt.Errorf("a value of type %T cannot be set", value)
	}
}

// scalar is a text, quoted where it would be read as something else.
func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// lookup returns the value of a key of a mapping, or of what it merges.
func lookup(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var merged *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch k := n.Content[i]; {
		case k.Value == key:
			return n.Content[i+1]
		case k.ShortTag() == "!!merge" && merged == nil:
			from := standsFor(n.Content[i+1])
			all := []*yaml.Node{from}
			if from.Kind == yaml.SequenceNode {
				all = from.Content
			}
			for _, one := range all {
				if merged = lookup(standsFor(one), key); merged != nil {
					break
				}
			}
		}
	}
	return merged
}

// put sets the value of a key of a mapping.
func put(n *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content[i+1] = value
			return
		}
	}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

// mappingAt returns the mapping at a key, and makes it where it is absent. What other
// entries share is copied: they keep what they have.
func mappingAt(n *yaml.Node, key string) *yaml.Node {
	value := lookup(n, key)
	switch {
	case value == nil || value.ShortTag() == "!!null":
		value = &yaml.Node{Kind: yaml.MappingNode}
		put(n, key, value)
	case value.Kind == yaml.AliasNode, ownValue(n, key) == nil:
		value = cloned(standsFor(value))
		put(n, key, value)
	}
	if value.Kind != yaml.MappingNode {
		return nil
	}
	return value
}

// keyNode is the key of a mapping that is called so.
func keyNode(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i]
		}
	}
	return nil
}

// ownValue is the value of a key that stands in the mapping itself.
func ownValue(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func cloned(n *yaml.Node) *yaml.Node {
	c := *n
	c.Anchor, c.Content = "", nil
	for _, child := range n.Content {
		c.Content = append(c.Content, cloned(child))
	}
	return &c
}
