package learn

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/sine-relay/sine-relay/relay/fields"
)

// wrapperDepth is how deep a wrapped object is looked for, and wrapperSamples in how many
// bodies.
const (
	wrapperDepth   = 4
	wrapperSamples = 16
)

// wrapper looks for an object within a body in which the places that are known lead to
// an event, where they do not in the body itself.
func (l *learner) wrapper() {
	l.apply(func(*fields.Spec) {})
	for _, s := range l.samples[:min(len(l.samples), wrapperSamples)] {
		if s.now.Event != "" {
			continue
		}
		best, at := 0, ""
		s.tree.objects("", wrapperDepth, func(pointer string, inner value) {
			report, reason := l.fields.Explain(inner.json(), l.o.MaxDepth)
			if reason != "" || report.Event == "" || report.Origin(fields.Wrapper) != fields.Missing {
				return
			}
			if len(report.Found) > max(best, len(s.now.Found)) {
				best, at = len(report.Found), pointer
			}
		})
		if at != "" && (l.o.Values || isShown(at)) && l.propose(fields.Wrapper, at) {
			l.proposed(fields.Wrapper, at, "known fields are found in it")
		}
	}
}

// objects calls fn for each object within a value, with its pointer.
func (v value) objects(at string, depth int, fn func(string, value)) {
	if v.kind == '{' && at != "" {
		fn(at, v)
	}
	for i, member := range v.members {
		key := strconv.Itoa(i)
		if v.kind == '{' {
			key = escape(v.keys[i])
		}
		if depth > 0 && !member.isScalar() {
			member.objects(at+"/"+key, depth-1, fn)
		}
	}
}

// json is the value as it may have been sent.
func (v value) json() []byte {
	var b strings.Builder
	v.write(&b)
	return []byte(b.String())
}

func (v value) write(b *strings.Builder) {
	switch v.kind {
	case '{', '[':
		b.WriteByte(v.kind)
		for i, member := range v.members {
			if i > 0 {
				b.WriteByte(',')
			}
			if v.kind == '{' {
				b.Write(quoted(v.keys[i]))
				b.WriteByte(':')
			}
			member.write(b)
		}
		b.WriteByte(v.kind + 2) // "}" and "]" are two behind
	case '"':
		b.Write(quoted(v.text))
	case 'n':
		b.WriteString("null")
	default:
		b.WriteString(v.text)
	}
}

// quoted is a text in JSON. It has no error: a text always encodes.
func quoted(text string) []byte {
	all, _ := json.Marshal(text)
	return all
}

var unescapes = strings.NewReplacer("~1", "/", "~0", "~")

func indexOf(key string) int {
	if n, err := strconv.Atoi(key); err == nil {
		return n
	}
	return -1
}
