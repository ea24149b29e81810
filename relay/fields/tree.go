package fields

import "slices"

// node is where one or more pointers lead, on the way or at their end. All pointers
// together are a tree, along which a body is read in one pass.
type node struct {
	// exact are the keys as the specification spells them, next where they lead and
	// keys their spellings.
	exact []string
	keys  []string
	next  []*node
	// name is the node's own key as the specification spells it.
	name string
	// byKey finds one of many; it is nil where there are few.
	byKey map[string]*node

	any       *node // for "*"
	star      int   // number of the "*" that leads here, or 0
	selectors []selector
	indexes   []index

	// selectedBy is the key of the text by which a selector leads here, if one does.
	selectedBy string
	targets    []target
	mark       mark
	// id distinguishes the node from the others of its tree.
	id uint64
}

// selector leads from a list to the element that has a text at a name.
type selector struct {
	member, is string
	next       *node
}

// index leads from a list to one element.
type index struct {
	at   int
	next *node
}

// target is what a value is for.
type target struct {
	// slot is a field, or, from fieldCount on, a part of a template.
	slot int
	// place is its number among the places of the field, from 1.
	place uint8
	// first is set where several values of a body may be at the place: the first
	// counts.
	first bool
	// group is that of the field where "*" leads here, or 0: what is taken for one group is
	// of one element.
	group uint8
}

// mark is what else follows from an object at a node.
type mark uint8

const (
	markPass mark = 1 << iota
	markHost
	markWrapper
)

// inner reports whether pointers lead on.
func (n *node) inner() bool {
	return len(n.exact) > 0 || n.any != nil || len(n.selectors) > 0
}

// wrapsElement reports whether an element of a list may be a wrapped object.
func (n *node) wrapsElement() bool {
	return slices.ContainsFunc(n.indexes, func(i index) bool { return i.next.mark&markWrapper != 0 })
}

// fewKeys are compared one after the other.
const fewKeys = 8

// tree adds pointers to a root.
type tree struct {
	root  *node
	nodes uint64
	stars int
}

func newTree() *tree { return &tree{root: &node{id: 1}, nodes: 1} }

// at returns the node of a pointer, and makes what is missing on the way.
func (t *tree) at(p pointer) *node {
	n := t.root
	for _, s := range p {
		n = t.step(n, s)
	}
	return n
}

func (t *tree) step(n *node, s segment) *node {
	if s.any {
		if n.any == nil {
			t.stars++
			n.any = t.node()
			n.any.star = t.stars
		}
		return n.any
	}
	for i, key := range n.keys {
		if key == s.key {
			return n.next[i]
		}
	}
	next := t.node()
	next.name = s.exact
	n.exact, n.keys, n.next = append(n.exact, s.exact), append(n.keys, s.key), append(n.next, next)
	if s.member != "" {
		n.selectors = append(n.selectors, selector{s.member, s.is, next})
		next.selectedBy = s.member
	}
	if at := s.index(); at >= 0 {
		n.indexes = append(n.indexes, index{at, next})
	}
	if n.byKey != nil {
		n.byKey[s.key] = next
	} else if len(n.keys) > fewKeys {
		n.byKey = make(map[string]*node, 2*fewKeys)
		for i, key := range n.keys {
			n.byKey[key] = n.next[i]
		}
	}
	return next
}

func (t *tree) node() *node {
	t.nodes++
	return &node{id: t.nodes}
}

// exactKeys are compared before a key is spelled: those that Sine is expected to send
// are among them.
const exactKeys = 16

// child returns where a key leads, or nil.
func (n *node) child(key string) *node {
	exact := n.exact
	if len(exact) > exactKeys {
		exact = exact[:exactKeys]
	}
	for i, e := range exact {
		if e == key {
			return n.next[i]
		}
	}
	if len(n.exact) == 0 || len(key) > maxSegment { // no pointer has a longer one
		return nil
	}
	var buffer [maxSegment]byte
	spelled, ok := spell(buffer[:0], key)
	if !ok {
		return n.spelled([]byte(keyOf(key)))
	}
	return n.spelled(spelled)
}

func (n *node) spelled(key []byte) *node {
	if n.byKey != nil {
		return n.byKey[string(key)]
	}
	for i, k := range n.keys {
		if k == string(key) {
			return n.next[i]
		}
	}
	return nil
}

// spell is keyOf for a key in ASCII, without memory of its own.
func spell(to []byte, key string) (spelled []byte, ok bool) {
	for i := range len(key) {
		switch b := key[i]; {
		case b >= 0x80:
			return nil, false
		case b == '_', b == '-', b == '.', b == ' ':
		case b >= 'A' && b <= 'Z':
			to = append(to, b|' ')
		default:
			to = append(to, b)
		}
	}
	return to, len(to) > 0
}
