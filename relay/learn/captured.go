package learn

import (
	"bufio"
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/relay/shape"
)

// Captured are the forms of bodies that a relay has logged of an integration, in lines of
// JSON; other lines are left out. They show where fields are, also in check-in requests,
// which are stored nowhere. They have no values, and so nothing about ids and dates.
func Captured(log []byte, integration string) (all []Body, err error) {
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Msg, Integration string
			Shape            shape.Shape
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "capture" || line.Integration != integration || !line.Shape.JSON {
			continue
		}
		form := value{kind: '{'}
		for _, field := range line.Shape.Fields {
			path, of, _ := strings.Cut(field, ": ")
			if !strings.Contains(path, "{}") && path != "$" { // keys that are not shown, and the body itself
				form.put(segmentsOf(path), of)
			}
		}
		all = append(all, Body{Text: form.json(), isForm: true})
	}
	return all, lines.Err()
}

// segmentsOf are the keys of a path; "[]" is the first element of a list.
func segmentsOf(path string) []string {
	return strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".")
}

// put makes what a path leads to.
func (v *value) put(path []string, of string) {
	key := path[0]
	if key == "[]" {
		v.kind, key = '[', ""
	}
	i := slices.Index(v.keys, key)
	if i < 0 {
		i = len(v.keys)
		v.keys, v.members = append(v.keys, key), append(v.members, value{kind: 'n'})
	}
	if len(path) > 1 {
		if v.members[i].isScalar() || v.members[i].kind == 'n' {
			v.members[i] = value{kind: '{'}
		}
		v.members[i].put(path[1:], of)
		return
	}
	if len(v.members[i].members) == 0 {
		v.members[i] = formOf(of)
	}
}

// formOf is a value of a type. The name of an event is the only one that is shown.
func formOf(of string) value {
	kind, rest, _ := strings.Cut(of, " ")
	switch strings.TrimSuffix(kind, ",") {
	case "object":
		return value{kind: '{'}
	case "list":
		return value{kind: '['}
	case "number":
		return value{kind: '0', text: "1"}
	case "boolean":
		return value{kind: 't', text: "true"}
	case "null":
		return value{kind: 'n'}
	}
	name := ""
	if strings.HasPrefix(rest, `"`) && json.Unmarshal([]byte(rest), &name) == nil {
		return value{kind: '"', text: name}
	}
	return value{kind: '"', text: "x"}
}
